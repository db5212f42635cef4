/* tokenize: texts of documents -> token ids, without special tokens (rows get theirs from the
 * plan). Spec: {"kind":"tokenize","model":DIR,"shuffle_seed" (optional: model_spec.h),
 * "fingerprint":HEX}. */
#include "worker/tasks/task_handler.h"

#include "common/token_batch.h"
#include "worker/model/token_list.h"
#include "worker/model/tokenizer.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/model_spec.h"
#include "worker/tasks/spec.h"

#include <stdlib.h>
#include <string.h>

struct tokenize_task {
    struct tokenizer *tokenizer;
    _Atomic uint64_t *ticks;
};

static status_t tokenize_open(void **out, const struct task_environment *environment,
                              const json_t *spec, struct error *err)
{
    struct model_wanted wanted;
    const char *planned;
    status_t status = model_spec_read(spec, &wanted, err);
    if (status == ST_OK) status = spec_text(spec, "fingerprint", &planned, err);
    if (status == ST_OK)
        status = model_cache_check_model(environment->models, &wanted, planned, err);
    if (status != ST_OK) return status;
    struct tokenize_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "tokenize task");
    task->ticks = environment->ticks;
    status = tokenizer_open(&task->tokenizer, wanted.directory, err);
    if (status != ST_OK) {
        free(task);
        return status;
    }
    *out = task;
    return ST_OK;
}

static status_t tokenize_all(struct tokenize_task *task, const struct wire_parts *texts,
                             uint32_t *n_tokens, struct token_list *tokens, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < texts->n && status == ST_OK; i++) {
        const struct wire_text text = wire_part(texts, i);
        const size_t n_before = tokens->n_ids;
        status = tokenizer_encode(task->tokenizer, text.bytes, text.n_bytes, false, tokens, err);
        n_tokens[i] = (uint32_t)(tokens->n_ids - n_before);
        atomic_fetch_add(task->ticks, 1);
    }
    return status;
}

static status_t tokenize_run(void *context, uint64_t unit, struct wire_text payload,
                             struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit;
    (void)shared;
    struct buffer plain;
    struct wire_parts texts;
    struct token_list tokens = {0};
    uint32_t *n_tokens = NULL;
    buffer_init(&plain, TOKEN_BATCH_MAX_BYTES);
    status_t status = token_batch_decode_texts(payload.bytes, payload.n_bytes, &plain, &texts, err);
    if (status == ST_OK && !(n_tokens = malloc((texts.n + 1) * sizeof *n_tokens)))
        status = error_set(err, ST_NO_MEMORY, "%zu documents", texts.n);
    if (status == ST_OK) status = tokenize_all(context, &texts, n_tokens, &tokens, err);
    if (status == ST_OK) {
        const struct token_batch batch = {texts.n, n_tokens, tokens.n_ids, tokens.ids};
        status = token_batch_encode(&batch, out, err);
    }
    free(n_tokens);
    token_list_fini(&tokens);
    buffer_fini(&plain);
    return status;
}

static void tokenize_close(void *context)
{
    struct tokenize_task *task = context;
    tokenizer_close(&task->tokenizer);
    free(task);
}

const struct task_handler tokenize_task_handler = {TASK_TOKENIZE, tokenize_open, tokenize_run,
                                                   tokenize_close};
