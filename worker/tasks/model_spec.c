#include "worker/tasks/model_spec.h"

#include "common/task.h"
#include "worker/model/attribution.h"
#include "worker/tasks/capture_accumulator.h"
#include "worker/tasks/spec.h"

#include <string.h>

status_t model_spec_read(const json_t *spec, struct model_wanted *out, struct error *err)
{
    *out = (struct model_wanted){.compute = COMPUTE_F32};
    status_t status = spec_text(spec, "model", &out->directory, err);
    if (status == ST_OK && json_object_get(spec, "shuffle_seed"))
        status = spec_key64(spec, "shuffle_seed", &out->shuffle_seed, err);
    return status;
}

status_t model_spec_read_compute(const json_t *spec, struct model_wanted *out, struct error *err)
{
    const char *compute;
    status_t status = model_spec_read(spec, out, err);
    if (status == ST_OK) status = spec_text(spec, "compute", &compute, err);
    return status == ST_OK ? compute_parse(compute, &out->compute, err) : status;
}

static void read_targets(const json_t *list, struct memory_needs *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *target = json_array_get(list, i);
        const char *directory = json_string_value(json_object_get(target, "dictionary"));
        const double factor = json_number_value(json_object_get(target, "norm_scaling_factor"));
        if (directory && !*directory) directory = NULL;
        if (memory_needs_add(out, directory, factor, NULL) != ST_OK) return;
    }
}

static bool is_kind(const json_t *spec, enum task_kind kind)
{
    const char *name = json_string_value(json_object_get(spec, "kind"));
    return name && strcmp(name, task_kind_name(kind)) == 0;
}

/* Answers of all prompts, each as often as it is named. */
static size_t count_columns(const json_t *prompts)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(prompts); i++) {
        const json_t *prompt = json_array_get(prompts, i);
        n += json_array_size(json_object_get(prompt, "answers")) +
             json_array_size(json_object_get(prompt, "distractors"));
    }
    return n;
}

/* Those of the task's largest batch. */
static void read_attribution(const json_t *spec, struct memory_needs *out)
{
    const char *method = json_string_value(json_object_get(spec, "method"));
    const size_t n_prompts = json_array_size(json_object_get(spec, "prompts"));
    const bool has_edges = !method || strcmp(method, attribute_method_name(ATTRIBUTE_ATP)) != 0;
    out->adjoint = has_edges ? MEMORY_ADJOINT_EDGES : MEMORY_ADJOINT_NODES;
    out->n_prompts = out->n_ctx ? attribution_task_batch(n_prompts, out->n_ctx) : 0;
}

static void read_prompts(const json_t *spec, struct memory_needs *out)
{
    const json_t *prompts = json_object_get(spec, "prompts");
    if (is_kind(spec, TASK_ATTRIBUTE)) read_attribution(spec, out);
    out->is_compared = is_kind(spec, TASK_GENERATE);
    if (!is_kind(spec, TASK_ABLATE)) return;
    out->n_prompts = json_array_size(prompts);
    out->is_compared = json_is_true(json_object_get(spec, "vocabulary"));
    out->n_columns = count_columns(prompts);
}

/* Of a capture: windows of the explain split, which has nothing frozen, for each target of all
 * features of its dictionary. */
static void read_digests(const json_t *spec, struct memory_needs *out)
{
    const json_t *limits = json_array_get(json_object_get(spec, "limits"), EVIDENCE_EXPLAIN);
    const json_int_t n = json_integer_value(json_object_get(limits, "window_tokens"));
    if (!is_kind(spec, TASK_CAPTURE) || n < 1 || n > EVIDENCE_MAX_WINDOW_TOKENS) return;
    const struct evidence_limits of = {.window_tokens = (uint32_t)n};
    for (size_t i = 0; i < out->n_targets; i++) {
        const json_t *target = json_array_get(json_object_get(spec, "targets"), i);
        const json_int_t n_slots = json_integer_value(json_object_get(target, "n_slots"));
        if ((size_t)n_slots == out->targets[i].n_features)
            out->targets[i].digest_windows = capture_digest_windows(&of, out->n_rows * out->n_ctx);
    }
}

status_t model_spec_read_needs(const json_t *spec, struct model_wanted *out, struct error *err)
{
    const status_t status = model_spec_read_compute(spec, out, err);
    const json_int_t n_ctx = json_integer_value(json_object_get(spec, "n_ctx"));
    const json_int_t n_rows = json_integer_value(json_object_get(spec, "n_rows"));
    if (status != ST_OK) return status;
    if (n_ctx > 0) out->needs.n_ctx = (size_t)n_ctx;
    if (n_rows > 0) out->needs.n_rows = (size_t)n_rows;
    read_prompts(spec, &out->needs);
    read_targets(json_object_get(spec, "targets"), &out->needs);
    read_digests(spec, &out->needs);
    read_targets(json_object_get(spec, "dictionaries"), &out->needs);
    return ST_OK;
}
