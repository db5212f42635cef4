/* describe: one unit whose result is what planning needs to know (common/describe.h).
 * Spec: {"kind":"describe","model":DIR,"shuffle_seed" (optional: model_spec.h),"compute":C,
 * "targets":[{"hook","units","dictionary","norm_scaling_factor" (optional)}]}. */
#include "worker/tasks/task_handler.h"

#include "common/describe.h"
#include "worker/model/tokenizer.h"
#include "worker/tasks/capture_target.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct describe_task {
    struct model_cache *models;
    struct model *model;
    struct tokenizer *tokenizer;
    size_t n_targets;
    struct describe_target targets[DESCRIBE_MAX_TARGETS];
    char fingerprint[HASH_HEX_SIZE]; /* of the model */
};

static void describe_close(void *context)
{
    struct describe_task *task = context;
    tokenizer_close(&task->tokenizer);
    if (task->model) model_cache_release_model(task->models, task->model);
    free(task);
}

static status_t read_fingerprint(struct describe_task *task, const json_t *target, size_t index,
                                 struct error *err)
{
    const char *directory = json_string_value(json_object_get(target, "dictionary"));
    return directory ? model_cache_fingerprint(task->models, directory,
                                               task->targets[index].fingerprint, err)
                     : ST_OK;
}

static status_t read_targets(struct describe_task *task, const json_t *spec, struct error *err)
{
    const json_t *targets;
    status_t status = spec_array(spec, "targets", &targets, err);
    if (status != ST_OK) return status;
    task->n_targets = json_array_size(targets);
    if (task->n_targets > DESCRIBE_MAX_TARGETS)
        return error_set(err, ST_TOO_LARGE, "%zu targets, at most %d", task->n_targets,
                         DESCRIBE_MAX_TARGETS);
    for (size_t i = 0; i < task->n_targets; i++) {
        struct capture_target *target;
        status = capture_target_open(&target, task->models, task->model, json_array_get(targets, i),
                                     err);
        if (status != ST_OK) return error_wrap(err, "targets[%zu]", i);
        task->targets[i] = capture_target_describe(target);
        capture_target_close(&target);
        status = read_fingerprint(task, json_array_get(targets, i), i, err);
        if (status != ST_OK) return error_wrap(err, "targets[%zu]", i);
    }
    return ST_OK;
}

static status_t open_all(struct describe_task *task, const json_t *spec, struct error *err)
{
    struct model_wanted wanted;
    status_t status = model_spec_read_compute(spec, &wanted, err);
    if (status == ST_OK) status = model_cache_model(task->models, &wanted, &task->model, err);
    if (status == ST_OK)
        status = model_cache_model_fingerprint(task->models, &wanted, task->fingerprint, err);
    if (status == ST_OK) status = tokenizer_open(&task->tokenizer, wanted.directory, err);
    return status == ST_OK ? read_targets(task, spec, err) : status;
}

static status_t describe_open(void **out, const struct task_environment *environment,
                              const json_t *spec, struct error *err)
{
    struct describe_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "describe task");
    task->models = environment->models;
    const status_t status = open_all(task, spec, err);
    if (status == ST_OK)
        *out = task;
    else
        describe_close(task);
    return status;
}

static status_t add_texts(const struct tokenizer *tokenizer, struct description *description,
                          struct error *err)
{
    const size_t n = tokenizer_vocab_size(tokenizer);
    size_t *ends = malloc((n + 1) * sizeof *ends);
    description->texts = malloc((n + 1) * sizeof *description->texts);
    status_t status =
        ends && description->texts ? ST_OK : error_set(err, ST_NO_MEMORY, "vocabulary");
    for (size_t id = 0; id < n && status == ST_OK; id++) {
        struct error ignored = {0}; /* a gap in the ids has no text */
        (void)!tokenizer_token_text(tokenizer, (uint32_t)id, &description->bytes, &ignored);
        ends[id] = description->bytes.n_bytes;
    }
    const char *bytes = (const char *)description->bytes.bytes;
    for (size_t id = 0, start = 0; id < n && status == ST_OK; start = ends[id++])
        description->texts[id] = (struct wire_text){bytes ? bytes + start : "", ends[id] - start};
    description->n_tokens = n;
    free(ends);
    return status;
}

static status_t describe_run(void *context, uint64_t unit, struct wire_text payload,
                             struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit;
    (void)payload;
    (void)shared;
    struct describe_task *task = context;
    const struct model_config *config = model_config(task->model);
    struct description description = {.n_layers = config->n_layers,
                                      .n_heads = config->n_heads,
                                      .n_kv_heads = config->n_kv_heads,
                                      .d_head = config->d_head,
                                      .d_mlp = config->d_mlp,
                                      .d_model = config->d_model,
                                      .n_vocab = config->n_vocab,
                                      .n_positions = config->n_positions,
                                      .bos = UINT32_MAX,
                                      .eos = UINT32_MAX,
                                      .n_targets = task->n_targets};
    (void)snprintf(description.family, sizeof description.family, "%s", config->family->name);
    memcpy(description.fingerprint, task->fingerprint, sizeof description.fingerprint);
    (void)tokenizer_bos(task->tokenizer, &description.bos);
    (void)tokenizer_eos(task->tokenizer, &description.eos);
    description.adds_bos = tokenizer_adds_bos(task->tokenizer);
    for (size_t i = 0; i < task->n_targets; i++) description.targets[i] = task->targets[i];
    buffer_init(&description.bytes, DESCRIBE_MAX_BYTES);
    status_t status = add_texts(task->tokenizer, &description, err);
    if (status == ST_OK) status = description_encode(&description, out, err);
    description_fini(&description);
    return status;
}

const struct task_handler describe_task_handler = {TASK_DESCRIBE, describe_open, describe_run,
                                                   describe_close};
