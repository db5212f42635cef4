/* prompts: a prompt set made by a generator, or a user's file in tokens (common/prompts.h has the
 * spec). Reads the model's config and tokenizer, never its weights. */
#include "worker/tasks/task_handler.h"

#include "common/prompts.h"
#include "worker/model/model_config.h"
#include "worker/prompts/prompt_generator.h"
#include "worker/prompts/user_prompts.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

#include <stdlib.h>

struct prompts_task {
    struct tokenizer *opened;
    struct prompt_tokenizer tokenizer;
    struct prompt_request request; /* if it has no source */
    const char *source;            /* of the user's file, NULL without one; in spec */
    json_t *spec;                  /* owned reference */
};

static void prompts_close(void *context)
{
    struct prompts_task *task = context;
    tokenizer_close(&task->opened);
    json_decref(task->spec);
    free(task);
}

static status_t open_tokenizer(struct prompts_task *task, struct model_cache *models,
                               struct error *err)
{
    struct model_wanted wanted;
    struct model_config config;
    const char *planned, *bos;
    status_t status = model_spec_read(task->spec, &wanted, err);
    if (status == ST_OK) status = spec_text(task->spec, "fingerprint", &planned, err);
    if (status == ST_OK) status = spec_text(task->spec, "bos", &bos, err);
    if (status == ST_OK) status = model_cache_check_model(models, &wanted, planned, err);
    if (status == ST_OK) status = model_config_read(&config, wanted.directory, err);
    if (status == ST_OK) status = tokenizer_open(&task->opened, wanted.directory, err);
    if (status != ST_OK) return status;
    task->tokenizer.tokenizer = task->opened;
    task->tokenizer.n_vocab = config.n_vocab;
    task->tokenizer.n_positions = config.n_positions;
    return bos_choose(&task->tokenizer.bos, task->opened, bos, wanted.directory, err);
}

static status_t read_request(struct prompts_task *task, struct error *err)
{
    struct prompt_request *request = &task->request;
    const char *generator;
    uint64_t n_prompts = 0, n_tokens = 0;
    status_t status = spec_text(task->spec, "generator", &generator, err);
    if (status == ST_OK) status = prompt_generator_parse(generator, &request->generator, err);
    if (status == ST_OK)
        status = spec_count(task->spec, "n_prompts", 1, PROMPTS_MAX_PROMPTS, &n_prompts, err);
    if (status == ST_OK) status = spec_count(task->spec, "seed", 0, INT64_MAX, &request->seed, err);
    if (status == ST_OK && request->generator == GENERATOR_INDUCTION)
        status = spec_count(task->spec, "n_tokens", PROMPTS_MIN_TOKENS, PROMPTS_MAX_TOKENS,
                            &n_tokens, err);
    if (status == ST_OK && json_object_get(task->spec, "corruption"))
        status = spec_text(task->spec, "corruption", &request->corruption, err);
    request->n_prompts = (size_t)n_prompts;
    request->n_tokens = (size_t)n_tokens;
    return status;
}

static status_t prompts_open(void **out, const struct task_environment *environment,
                             const json_t *spec, struct error *err)
{
    struct prompts_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "prompts task");
    task->tokenizer.ticks = environment->ticks;
    task->spec = json_deep_copy(spec);
    status_t status = task->spec ? open_tokenizer(task, environment->models, err)
                                 : error_set(err, ST_NO_MEMORY, "prompts task");
    if (status == ST_OK && json_object_get(spec, "source"))
        status = spec_text(task->spec, "source", &task->source, err);
    else if (status == ST_OK)
        status = read_request(task, err);
    if (status == ST_OK)
        *out = task;
    else
        prompts_close(task);
    return status;
}

static status_t prompts_run(void *context, uint64_t unit, struct wire_text payload,
                            struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit;
    (void)shared;
    struct prompts_task *task = context;
    if (task->source)
        return user_prompts_tokenize(&task->tokenizer, task->source, payload.bytes, payload.n_bytes,
                                     out, err);
    return prompt_generator_run(&task->request, &task->tokenizer, out, err);
}

const struct task_handler prompts_task_handler = {TASK_PROMPTS, prompts_open, prompts_run,
                                                  prompts_close};
