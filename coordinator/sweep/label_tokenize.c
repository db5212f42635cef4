/* Phase 2: the workers tokenize, the collector puts documents in order, then the corpus becomes
 * capture units.
 *
 * What the collector has leaves Redis now and then, a mark in its place: the ids of a large corpus
 * need not lie in memory twice. A coordinator that dies has them tokenized again, as it would in
 * any later phase; that costs little beside capturing. */
#include "common/token_batch.h"
#include "coordinator/queue/unit_set.h"
#include "coordinator/sweep/label_job.h"
#include "coordinator/sweep/label_run.h"

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
    if (status == ST_OK) run->n_taken_bytes += n_bytes;
    return status;
}

static const struct task_ops tokenize_ops = {.payload = tokenize_payload,
                                             .result = tokenize_result};
enum { BATCHES_PER_LEASE = 32, DROPPED_PER_STEP = 4096 };

static status_t tokenize_begin(struct label_run *run, struct error *err)
{
    const size_t n_batches = text_batches_count(run->batches);
    if (n_batches == 0) return label_plan_begin(run, err); /* the corpus came as token ids */
    const struct sweep_task_params params = {.phase = "tokenize",
                                             .kind = TASK_TOKENIZE,
                                             .n_units = n_batches,
                                             .ops = &tokenize_ops,
                                             .max_units_per_lease = BATCHES_PER_LEASE};
    status_t status = label_task_begin(run, params, err);
    if (status == ST_OK) status = unit_set_init(text_batches_dropped(run->batches), n_batches, err);
    return status;
}

static status_t drop_taken(struct label_run *run, struct error *err)
{
    const struct sweep_context *context = run->sweep->context;
    struct unit_set *dropped = text_batches_dropped(run->batches);
    size_t units[DROPPED_PER_STEP], n = 0;
    if (run->n_taken_bytes < context->checkpoint_bytes) return ST_OK;
    for (size_t unit = 0; unit < dropped->n_units && n < DROPPED_PER_STEP; unit++)
        if (!unit_set_has(dropped, unit) &&
            unit_table_state(run->work.task->units, unit) == UNIT_DONE)
            units[n++] = unit;
    const status_t status =
        dispatcher_keep_results(context->dispatcher, run->work.task, units, n, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n; i++) unit_set_add(dropped, units[i]);
    if (n < DROPPED_PER_STEP) run->n_taken_bytes = 0;
    return ST_OK;
}

static status_t tokenize_poll(struct label_run *run, bool *is_over, struct error *err)
{
    if (run->work.task) {
        bool has_all;
        status_t status = label_task_poll(run, &has_all, err);
        *is_over = false;
        if (status == ST_OK && !has_all) status = drop_taken(run, err);
        if (status != ST_OK || !has_all) return status;
        status = sweep_task_end(&run->work, err);
        return status == ST_OK ? label_plan_begin(run, err) : status;
    }
    *is_over = run->n_jobs == 0 && run->plan != NULL; /* the job writes run->plan */
    return ST_OK;
}

const struct label_phase_ops label_tokenize_phase = {"tokenize", tokenize_begin, tokenize_poll};
