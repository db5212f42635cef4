/* Phase 2: the workers tokenize, the collector puts documents in order, then the corpus becomes
 * capture units. */
#include "common/token_batch.h"
#include "coordinator/sweep/label_job.h"
#include "coordinator/sweep/label_run.h"

#include <stdlib.h>

static status_t tokenize_payload(struct task *task, size_t unit, struct buffer *out,
                                 struct error *err)
{
    const struct label_run *run = task->owner;
    return text_batches_payload(run->batches, unit, out, err);
}

static status_t tokenize_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                                struct error *err)
{
    struct label_run *run = task->owner;
    struct token_batch batch;
    status_t status = token_batch_decode(bytes, n_bytes, &batch, err);
    if (status != ST_OK) return status;
    status = tokenize_collector_put(text_batches_collector(run->batches),
                                    text_batches_batch(run->batches, unit), batch.n_tokens,
                                    batch.n_documents, batch.tokens, batch.n_all_tokens, err);
    token_batch_fini(&batch);
    return status;
}

static const struct task_ops tokenize_ops = {.payload = tokenize_payload,
                                             .result = tokenize_result};
enum { BATCHES_PER_LEASE = 32 };

static status_t tokenize_begin(struct label_run *run, struct error *err)
{
    const size_t n_batches = text_batches_count(run->batches);
    if (n_batches == 0) return label_plan_begin(run, err); /* the corpus came as token ids */
    char *spec = label_spec_json(run, TASK_TOKENIZE);
    if (!spec) return error_set(err, ST_NO_MEMORY, "task spec");
    const struct label_task_params params = {.phase = "tokenize",
                                             .kind = TASK_TOKENIZE,
                                             .n_units = n_batches,
                                             .spec_json = spec,
                                             .ops = &tokenize_ops,
                                             .max_units_per_lease = BATCHES_PER_LEASE};
    const status_t status = label_task_begin(run, &params, err);
    free(spec);
    return status;
}

static status_t tokenize_poll(struct label_run *run, bool *is_over, struct error *err)
{
    if (run->task) {
        bool has_all;
        status_t status = label_task_poll(run, &has_all, err);
        *is_over = false;
        if (status != ST_OK || !has_all) return status;
        status = label_task_end(run, err);
        return status == ST_OK ? label_plan_begin(run, err) : status;
    }
    *is_over = run->n_jobs == 0 && run->plan != NULL; /* the job writes run->plan */
    return ST_OK;
}

const struct label_phase_ops label_tokenize_phase = {"tokenize", tokenize_begin, tokenize_poll};
