/* probe: what the target model does on the user's texts. Asked again until it is done. */
#include "coordinator/api/operations.h"

#include "coordinator/session/window_text.h"
#include "coordinator/sweep/label_engine.h"
#include "coordinator/sweep/probe_desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROWS = 16, DEFAULT_CONTEXT = 128 };

/* One feature to be probed, from whatever names it. Texts are borrowed. */
struct probe_subject {
    const char *model, *model_fingerprint, *compute, *bos;
    const char *hook, *units, *dictionary, *dictionary_fingerprint; /* dictionary may be NULL */
    double norm_scaling_factor;                                     /* 0: none */
    uint64_t shuffle_seed;                                          /* 0: none */
    uint32_t n_rows, n_ctx;
    uint64_t feature;
    bool has_threshold;
    double fire_threshold;
    struct worker_pin pin; /* what the sweep's captures ran on */
};

static bool is_signed(const struct probe_subject *subject)
{
    return strcmp(subject->units, "neurons") == 0 || strcmp(subject->units, "residual") == 0;
}

/* --- a feature of a sweep ------------------------------------------------------------------ */

static void find_threshold(const struct sweep *sweep, size_t target,
                           const struct label_probe_facts *facts, struct probe_subject *out)
{
    out->has_threshold = facts->has_threshold || out->dictionary;
    out->fire_threshold = facts->has_threshold ? (double)facts->fire_threshold : 0;
    if (out->has_threshold) return; /* a dictionary's feature fires above 0 */
    json_t *record = api_find_record(sweep, out->feature, target);
    const json_t *threshold = json_object_get(record, "fire_threshold");
    out->has_threshold = json_is_number(threshold);
    out->fire_threshold = json_number_value(threshold);
    json_decref(record);
}

static status_t check_feature(const struct sweep *sweep, const struct label_probe_facts *facts,
                              const struct probe_subject *subject, uint64_t target,
                              struct error *err)
{
    const uint64_t n = (uint64_t)facts->n_features * (is_signed(subject) ? 2 : 1);
    if (facts->n_features == 0 || subject->feature < n) return ST_OK;
    return error_set(err, ST_NOT_FOUND, "target %llu of sweep %s has features 0 to %llu, not %llu",
                     (unsigned long long)target, sweep->id, (unsigned long long)(n - 1),
                     (unsigned long long)subject->feature);
}

static status_t read_feature(const json_t *args, uint64_t *out, struct error *err)
{
    const status_t status = args_count(args, "feature", UINT64_MAX, out, err);
    return status == ST_OK && *out >= UINT32_MAX
               ? error_set(err, ST_BAD_INPUT, "argument \"feature\" is missing or too large")
               : status;
}

static status_t subject_of_sweep(struct api *api, const json_t *args, struct probe_subject *out,
                                 struct error *err)
{
    const struct args_allowed allowed = {{"sweep", "feature", "target", "texts", NULL}};
    struct sweep *sweep;
    uint64_t target = 0;
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_sweep(api, args, &sweep, err);
    if (status == ST_OK) status = read_feature(args, &out->feature, err);
    if (status == ST_OK) status = args_count(args, "target", 0, &target, err);
    if (status == ST_OK && target >= sweep->spec->n_targets)
        status = error_set(err, ST_NOT_FOUND, "sweep %s has %zu targets", sweep->id,
                           sweep->spec->n_targets);
    if (status != ST_OK) return status;
    const struct sweep_spec *spec = sweep->spec;
    const struct sweep_target *wanted = &spec->targets[target];
    struct label_probe_facts facts;
    label_engine_probe_facts(sweep, (size_t)target, out->feature, &facts);
    out->model = spec->model;
    out->model_fingerprint = facts.model_fingerprint;
    out->compute = sweep_compute_name(spec->compute);
    out->bos = sweep_bos_name(spec->corpus.bos);
    out->hook = wanted->hook;
    out->units = sweep_units_name(wanted->units);
    out->dictionary = wanted->dictionary;
    out->dictionary_fingerprint = facts.dictionary_fingerprint;
    out->norm_scaling_factor = wanted->norm_scaling_factor;
    out->shuffle_seed = sweep_spec_shuffle_seed(spec);
    out->pin = sweep->share.pin;
    out->n_rows = spec->rows_per_unit;
    out->n_ctx = spec->corpus.context_tokens;
    find_threshold(sweep, (size_t)target, &facts, out);
    return check_feature(sweep, &facts, out, target, err);
}

/* --- a feature of a model, without a sweep ------------------------------------------------- */

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

static status_t subject_of_model(const json_t *args, struct probe_subject *out, struct error *err)
{
    const struct args_allowed allowed = {
        {"model", "hook", "dictionary", "units", "norm_scaling_factor", "feature", "texts", NULL}};
    const bool has_dictionary = json_object_get(args, "dictionary") != NULL;
    *out = (struct probe_subject){.model_fingerprint = "",
                                  .compute = "f32",
                                  .bos = "auto",
                                  .units = "dictionary",
                                  .dictionary_fingerprint = "",
                                  .n_rows = DEFAULT_ROWS,
                                  .n_ctx = DEFAULT_CONTEXT};
    status_t status = args_check(args, &allowed, err);
    if (status == ST_OK) status = args_text(args, "model", &out->model, err);
    if (status == ST_OK) status = args_text(args, "hook", &out->hook, err);
    if (status == ST_OK && has_dictionary)
        status = args_text(args, "dictionary", &out->dictionary, err);
    if (status == ST_OK && (!has_dictionary || json_object_get(args, "units")))
        status = args_text(args, "units", &out->units, err);
    if (status == ST_OK) status = read_feature(args, &out->feature, err);
    if (status == ST_OK && json_object_get(args, "norm_scaling_factor"))
        status = read_factor(args, &out->norm_scaling_factor, err);
    out->has_threshold = has_dictionary;
    return status;
}

/* --- the request --------------------------------------------------------------------------- */

static char *spec_json(const struct probe_subject *subject)
{
    const uint64_t unit = is_signed(subject) ? subject->feature / 2 : subject->feature;
    char features[24], seed[24];
    (void)snprintf(features, sizeof features, "%llu", (unsigned long long)unit);
    json_t *target = json_pack("{s:s s:s s:s s:i}", "hook", subject->hook, "units", subject->units,
                               "features", features, "n_slots", is_signed(subject) ? 2 : 1);
    if (subject->dictionary) {
        (void)json_object_set_new(target, "dictionary", json_string(subject->dictionary));
        (void)json_object_set_new(target, "fingerprint",
                                  json_string(subject->dictionary_fingerprint));
    }
    if (subject->norm_scaling_factor > 0)
        (void)json_object_set_new(target, "norm_scaling_factor",
                                  json_real(subject->norm_scaling_factor));
    json_t *root = json_pack("{s:s s:s s:s s:s s:I s:I s:s s:b s:[o]}", "kind", "probe", "model",
                             subject->model, "fingerprint", subject->model_fingerprint, "compute",
                             subject->compute, "n_rows", (json_int_t)subject->n_rows, "n_ctx",
                             (json_int_t)subject->n_ctx, "bos", subject->bos, "with_pieces", 1,
                             "targets", target);
    (void)snprintf(seed, sizeof seed, "%016llx", (unsigned long long)subject->shuffle_seed);
    if (subject->shuffle_seed) (void)json_object_set_new(root, "shuffle_seed", json_string(seed));
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(root);
    return text;
}

static status_t read_texts(const json_t *args, struct wire_text *texts, size_t *n,
                           struct error *err)
{
    const json_t *list = json_object_get(args, "texts");
    *n = json_array_size(list);
    if (*n < 1 || *n > PROBE_MAX_PER_UNIT)
        return error_set(err, ST_BAD_INPUT, "argument \"texts\" is not a list of 1 to %d texts",
                         PROBE_MAX_PER_UNIT);
    for (size_t i = 0; i < *n; i++) {
        const json_t *text = json_array_get(list, i);
        if (!json_is_string(text))
            return error_set(err, ST_BAD_INPUT, "argument \"texts\": number %zu is no text", i + 1);
        texts[i] = (struct wire_text){json_string_value(text), json_string_length(text)};
    }
    return ST_OK;
}

/* --- the answer ---------------------------------------------------------------------------- */

/* The tokens as strings that join to the text (window_text.h). */
static json_t *json_pieces(const struct probe_answer *answer)
{
    json_t *list = json_array();
    struct token_text *texts = calloc(answer->n_tokens + 1, sizeof *texts);
    uint32_t *places = calloc(answer->n_tokens + 1, sizeof *places);
    struct window_text text = {0};
    for (size_t i = 0; texts && places && i < answer->n_tokens; i++) {
        texts[i] = (struct token_text){answer->pieces[i].bytes, answer->pieces[i].n_bytes};
        places[i] = (uint32_t)i;
    }
    const struct token_texts all = {texts, answer->n_tokens};
    const struct window window = {.tokens = places, .n_tokens = answer->n_tokens};
    if (texts && places && window_text_init(&text, &window, &all, NULL) == ST_OK)
        for (size_t i = 0; i < text.n_tokens; i++)
            (void)json_array_append_new(
                list, json_stringn(text.text + text.cuts[i], text.cuts[i + 1] - text.cuts[i]));
    window_text_fini(&text);
    free(texts);
    free(places);
    return list;
}

static json_t *json_probe(const struct probe_subject *subject, const struct wire_text *text,
                          const struct probe_answer *answer)
{
    const double max = (double)probe_answer_max(answer);
    const bool has_pieces = answer->pieces && answer->n_tokens;
    json_t *ids = json_array(), *activations = json_array();
    for (size_t i = 0; i < answer->n_tokens; i++) {
        (void)json_array_append_new(ids, json_integer((json_int_t)answer->tokens[i]));
        (void)json_array_append_new(activations, json_real((double)answer->activations[i]));
    }
    json_t *fires = subject->has_threshold && !answer->error[0]
                        ? json_boolean(max > subject->fire_threshold)
                        : json_null();
    return json_pack("{s:o s:o s:b s:o s:o s:o s:o s:o}", "text",
                     json_stringn(text->bytes, text->n_bytes), "error",
                     answer->error[0] ? json_string(answer->error) : json_null(), "is_cut",
                     (int)answer->is_cut, "tokens", has_pieces ? json_pieces(answer) : json_array(),
                     "token_ids", ids, "activations", activations, "max",
                     answer->error[0] ? json_null() : json_real(max), "fires", fires);
}

static json_t *json_done(const struct probe_subject *subject, const struct wire_text *texts,
                         size_t n_texts, const struct probe_answer *answers)
{
    json_t *probes = json_array();
    for (size_t i = 0; i < n_texts; i++)
        (void)json_array_append_new(probes, json_probe(subject, &texts[i], &answers[i]));
    return json_pack("{s:s s:s s:s s:s? s:I s:o s:o}", "state", "done", "model", subject->model,
                     "hook_point", subject->hook, "dictionary", subject->dictionary, "feature",
                     (json_int_t)subject->feature, "fire_threshold",
                     subject->has_threshold ? json_real(subject->fire_threshold) : json_null(),
                     "probes", probes);
}

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

static json_t *json_pending(struct api *api, const struct worker_pin *pin)
{
    json_t *kind = pin->backend[0]
                       ? json_pack("{s:s s:s}", "backend", pin->backend, "isa", pin->isa)
                       : json_null();
    return json_pack("{s:s s:I s:o}", "state", "pending", "n_workers", count_workers(api, pin),
                     "wants", kind);
}

static status_t ask(struct api *api, const struct probe_subject *subject,
                    const struct wire_text *texts, size_t n_texts, json_t **out, struct error *err)
{
    const struct probe_answer *answers = NULL;
    char *spec = spec_json(subject);
    if (!spec) return error_set(err, ST_BAD_INPUT, "the probe is not valid UTF-8");
    const struct probe_desk_request request = {
        .spec_json = spec,
        .slot = is_signed(subject) ? (uint32_t)(subject->feature % 2) : 0,
        .n_slots = is_signed(subject) ? 2 : 1,
        .texts = texts,
        .n_texts = n_texts,
        .pin = subject->pin};
    const status_t status = probe_desk_ask(api->probes, &request, &answers, err);
    free(spec);
    if (status != ST_OK) return status;
    *out = answers ? json_done(subject, texts, n_texts, answers) : json_pending(api, &subject->pin);
    return ST_OK;
}

status_t api_probe(struct api *api, const json_t *args, json_t **out, struct error *err)
{
    struct probe_subject subject = {0};
    struct wire_text texts[PROBE_MAX_PER_UNIT];
    size_t n_texts;
    status_t status = json_object_get(args, "model") ? subject_of_model(args, &subject, err)
                                                     : subject_of_sweep(api, args, &subject, err);
    if (status == ST_OK) status = read_texts(args, texts, &n_texts, err);
    return status == ST_OK ? ask(api, &subject, texts, n_texts, out, err) : status;
}
