#include "coordinator/api/subject.h"

#include "common/number_ranges.h"
#include "coordinator/sweep/label_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROWS = 16, DEFAULT_CONTEXT = 128 };

bool api_subject_is_signed(const struct api_subject *subject)
{
    return strcmp(subject->units, "neurons") == 0 || strcmp(subject->units, "residual") == 0;
}

status_t api_subject_check_feature(const struct api_subject *subject, uint64_t feature,
                                   struct error *err)
{
    if (subject->n_features == 0 || feature < subject->n_features) return ST_OK;
    return error_set(err, ST_NOT_FOUND, "target %zu of sweep %s has features 0 to %llu, not %llu",
                     subject->target, subject->sweep->id,
                     (unsigned long long)(subject->n_features - 1), (unsigned long long)feature);
}

/* --- of a sweep ---------------------------------------------------------------------------- */

static status_t read_sweep(struct api *api, const json_t *args, struct api_subject *out,
                           struct error *err)
{
    struct sweep *sweep;
    uint64_t target = 0;
    struct label_probe_facts facts;
    status_t status = args_sweep(api, args, &sweep, err);
    if (status == ST_OK) status = args_count(args, "target", 0, &target, err);
    if (status == ST_OK && target >= sweep->spec->n_targets)
        status = error_set(err, ST_NOT_FOUND, "sweep %s has %zu targets", sweep->id,
                           sweep->spec->n_targets);
    if (status != ST_OK) return status;
    const struct sweep_spec *spec = sweep->spec;
    const struct sweep_target *wanted = &spec->targets[target];
    label_engine_probe_facts(sweep, (size_t)target, 0, &facts);
    *out = (struct api_subject){.model = spec->model,
                                .model_fingerprint = facts.model_fingerprint,
                                .compute = sweep_compute_name(spec->compute),
                                .bos = sweep_bos_name(spec->corpus.bos),
                                .hook = wanted->hook,
                                .units = sweep_units_name(wanted->units),
                                .dictionary = wanted->dictionary,
                                .dictionary_fingerprint = facts.dictionary_fingerprint,
                                .norm_scaling_factor = wanted->norm_scaling_factor,
                                .shuffle_seed = sweep_spec_shuffle_seed(spec),
                                .n_rows = spec->rows_per_unit,
                                .n_ctx = spec->corpus.context_tokens,
                                .sweep = sweep,
                                .target = (size_t)target,
                                .pin = sweep->share.pin};
    out->n_features = (uint64_t)facts.n_features * (api_subject_is_signed(out) ? 2 : 1);
    return ST_OK;
}

/* --- of a model, without a sweep ----------------------------------------------------------- */

/* As a sweep's target has it (sweep_keys.c). */
static status_t read_factor(const json_t *args, double *out, struct error *err)
{
    const double factor = json_number_value(json_object_get(args, "norm_scaling_factor"));
    if (!json_object_get(args, "dictionary"))
        return error_set(err, ST_BAD_INPUT, "norm_scaling_factor: without a dictionary");
    if (!(factor > 0 && factor <= 1e6))
        return error_set(err, ST_BAD_INPUT,
                         "norm_scaling_factor: a number above 0, at most 1000000");
    *out = factor;
    return ST_OK;
}

static status_t read_model(const json_t *args, struct api_subject *out, struct error *err)
{
    const bool has_dictionary = json_object_get(args, "dictionary") != NULL;
    *out = (struct api_subject){.model_fingerprint = "",
                                .compute = "f32",
                                .bos = "auto",
                                .units = "dictionary",
                                .dictionary_fingerprint = "",
                                .n_rows = DEFAULT_ROWS,
                                .n_ctx = DEFAULT_CONTEXT};
    status_t status = args_text(args, "model", &out->model, err);
    if (status == ST_OK) status = args_text(args, "hook", &out->hook, err);
    if (status == ST_OK && has_dictionary)
        status = args_text(args, "dictionary", &out->dictionary, err);
    if (status == ST_OK && (!has_dictionary || json_object_get(args, "units")))
        status = args_text(args, "units", &out->units, err);
    if (status == ST_OK && json_object_get(args, "norm_scaling_factor"))
        status = read_factor(args, &out->norm_scaling_factor, err);
    return status;
}

status_t api_subject_read(struct api *api, const json_t *args, struct api_subject *out,
                          struct error *err)
{
    return json_object_get(args, "model") ? read_model(args, out, err)
                                          : read_sweep(api, args, out, err);
}

/* --- units and slots ----------------------------------------------------------------------- */

static uint32_t n_signs(const struct api_subject *subject)
{
    return api_subject_is_signed(subject) ? 2 : 1;
}

void api_units_of(const struct api_subject *subject, const uint64_t *features, size_t n,
                  struct api_units *out)
{
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t unit = (uint32_t)(features[i] / n_signs(subject));
        size_t at = out->n;
        while (at > 0 && out->numbers[at - 1] > unit) at--;
        if (at > 0 && out->numbers[at - 1] == unit) continue;
        memmove(out->numbers + at + 1, out->numbers + at, (out->n - at) * sizeof *out->numbers);
        out->numbers[at] = unit;
        out->n++;
    }
}

uint32_t api_units_n_slots(const struct api_subject *subject, const struct api_units *units)
{
    return (uint32_t)units->n * n_signs(subject);
}

uint32_t api_units_slot(const struct api_subject *subject, const struct api_units *units,
                        uint64_t feature)
{
    uint32_t at = 0;
    while (at + 1 < units->n && units->numbers[at] != feature / n_signs(subject)) at++;
    return at * n_signs(subject) + (uint32_t)(feature % n_signs(subject));
}

/* --- the task ------------------------------------------------------------------------------ */

static json_t *json_target(const struct api_subject *subject, const struct api_units *units)
{
    char *features = number_ranges_write(units->numbers, units->n);
    json_t *target = features ? json_pack("{s:s s:s s:s s:i}", "hook", subject->hook, "units",
                                          subject->units, "features", features, "n_slots",
                                          (int)api_units_n_slots(subject, units))
                              : NULL;
    free(features);
    if (target && subject->dictionary) {
        (void)json_object_set_new(target, "dictionary", json_string(subject->dictionary));
        (void)json_object_set_new(target, "fingerprint",
                                  json_string(subject->dictionary_fingerprint));
    }
    if (target && subject->norm_scaling_factor > 0)
        (void)json_object_set_new(target, "norm_scaling_factor",
                                  json_real(subject->norm_scaling_factor));
    return target;
}

char *api_subject_spec(const struct api_subject *subject, enum task_kind kind,
                       const struct api_units *units)
{
    char seed[24];
    json_t *target = json_target(subject, units);
    if (!target) return NULL;
    json_t *root = json_pack("{s:s s:s s:s s:s s:I s:I s:s s:b s:[o]}", "kind",
                             task_kind_name(kind), "model", subject->model, "fingerprint",
                             subject->model_fingerprint, "compute", subject->compute, "n_rows",
                             (json_int_t)subject->n_rows, "n_ctx", (json_int_t)subject->n_ctx,
                             "bos", subject->bos, "with_pieces", 1, "targets", target);
    (void)snprintf(seed, sizeof seed, "%016llx", (unsigned long long)subject->shuffle_seed);
    if (subject->shuffle_seed) (void)json_object_set_new(root, "shuffle_seed", json_string(seed));
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(root);
    return text;
}

/* --- while it lasts ------------------------------------------------------------------------ */

/* Workers that may answer. */
static json_int_t count_workers(struct api *api, const struct worker_pin *pin)
{
    struct worker_table *table = dispatcher_workers(api->dispatcher);
    json_int_t n = 0;
    for (size_t i = 0; i < worker_table_count(table); i++) {
        const struct worker *worker = worker_table_at(table, i);
        n += !pin->backend[0] ||
             (strcmp(pin->backend, worker->backend) == 0 && strcmp(pin->isa, worker->isa) == 0);
    }
    return n;
}

json_t *api_subject_pending(struct api *api, const struct api_subject *subject)
{
    const struct worker_pin *pin = &subject->pin;
    json_t *kind = pin->backend[0]
                       ? json_pack("{s:s s:s}", "backend", pin->backend, "isa", pin->isa)
                       : json_null();
    return json_pack("{s:s s:I s:o}", "state", "pending", "n_workers", count_workers(api, pin),
                     "wants", kind);
}
