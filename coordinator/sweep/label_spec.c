/* What workers are told about a label sweep's tasks. */
#include "common/number_ranges.h"
#include "coordinator/sweep/label_run.h"

#include <stdio.h>
#include <stdlib.h>

enum { GENERATE_CONTEXT = 2048 }; /* or the model's, if that is less */

static json_t *json_target(const struct sweep_target *target)
{
    json_t *json =
        json_pack("{s:s s:s}", "hook", target->hook, "units", sweep_units_name(target->units));
    if (target->dictionary)
        (void)json_object_set_new(json, "dictionary", json_string(target->dictionary));
    if (target->norm_scaling_factor > 0)
        (void)json_object_set_new(json, "norm_scaling_factor",
                                  json_real(target->norm_scaling_factor));
    return json;
}

static json_t *json_limits(const struct evidence_limits *limits)
{
    return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I}", "top_k", (json_int_t)limits->top_k,
                     "bin_k", (json_int_t)limits->bin_k, "silent_k", (json_int_t)limits->silent_k,
                     "near_miss_k", (json_int_t)limits->near_miss_k, "neighbour_k",
                     (json_int_t)limits->neighbour_k, "doc_k", (json_int_t)limits->doc_k,
                     "window_tokens", (json_int_t)limits->window_tokens, "min_window_tokens",
                     (json_int_t)limits->min_window_tokens, "counts_positions",
                     (json_int_t)limits->counts_positions);
}

static void add_slots(const struct label_run *run, size_t index, json_t *json)
{
    const struct label_target *target = &run->targets[index];
    char key[24];
    (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)target->key);
    (void)json_object_set_new(json, "key", json_string(key));
    (void)json_object_set_new(json, "fingerprint",
                              json_string(run->description.targets[index].fingerprint));
    (void)json_object_set_new(json, "n_slots", json_integer(target->n_slots));
    char *ranges = number_ranges_write(target->captured.features, target->captured.n);
    if (ranges) (void)json_object_set_new(json, "features", json_string(ranges));
    free(ranges);
}

static json_t *json_targets(const struct label_run *run, bool has_slots)
{
    const struct sweep_spec *spec = run->sweep->spec;
    json_t *targets = json_array();
    for (size_t i = 0; i < spec->n_targets; i++) {
        json_t *target = json_target(&spec->targets[i]);
        if (has_slots) add_slots(run, i, target);
        (void)json_array_append_new(targets, target);
    }
    return targets;
}

static json_t *json_all_limits(const struct sweep_spec *spec)
{
    json_t *json = json_array();
    for (unsigned i = 0; i < EVIDENCE_N_SPLITS; i++) {
        const struct evidence_limits limits =
            sweep_spec_evidence_limits(spec, (enum evidence_split)i);
        (void)json_array_append_new(json, json_limits(&limits));
    }
    return json;
}

/* Nothing for a model with its own weights: its tasks and captures keep their names. */
static void add_shuffle(const struct sweep_spec *spec, json_t *json)
{
    char key[24];
    const uint64_t seed = sweep_spec_shuffle_seed(spec);
    (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)seed);
    if (seed) (void)json_object_set_new(json, "shuffle_seed", json_string(key));
}

char *label_spec_json(const struct label_run *run, enum task_kind kind)
{
    const struct sweep_spec *spec = run->sweep->spec;
    json_t *root = json_pack("{s:s s:s s:s}", "kind", task_kind_name(kind), "model", spec->model,
                             "compute", sweep_compute_name(spec->compute));
    add_shuffle(spec, root);
    if (kind != TASK_DESCRIBE) /* the weights that were described, or none */
        (void)json_object_set_new(root, "fingerprint", json_string(run->description.fingerprint));
    const bool reads_texts = kind == TASK_PROBE || kind == TASK_GENERATE;
    const bool has_slots =
        kind == TASK_CAPTURE || kind == TASK_LOGITS || kind == TASK_NEIGHBOURS || reads_texts;
    if (kind == TASK_DESCRIBE || has_slots)
        (void)json_object_set_new(root, "targets", json_targets(run, has_slots));
    if (has_slots) {
        (void)json_object_set_new(root, "n_rows", json_integer(spec->rows_per_unit));
        (void)json_object_set_new(
            root, "n_ctx",
            json_integer(kind == TASK_GENERATE ? GENERATE_CONTEXT : spec->corpus.context_tokens));
    }
    if (kind == TASK_CAPTURE) (void)json_object_set_new(root, "limits", json_all_limits(spec));
    if (reads_texts)
        (void)json_object_set_new(root, "bos", json_string(sweep_bos_name(spec->corpus.bos)));
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(root);
    return text;
}

status_t label_task_begin(struct label_run *run, struct sweep_task_params params, struct error *err)
{
    char *spec = label_spec_json(run, params.kind);
    if (!spec) return error_set(err, ST_NO_MEMORY, "task spec");
    params.spec_json = spec;
    params.owner = run;
    const status_t status = sweep_task_begin(&run->work, &params, err);
    free(spec);
    return status;
}
