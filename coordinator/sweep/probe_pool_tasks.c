/* From waiting probes to tasks, and from their results to answers that are stored and told. */
#include "coordinator/sweep/probe_pool_parts.h"

enum { BATCH_WAIT_MS = 25, SMALLEST_UNIT = 16 };

/* --- making -------------------------------------------------------------------------------- */

status_t probe_pool_add_batch(struct probe_pool *pool, struct probe_batch *batch, struct error *err)
{
    const struct probe_batch_params params = {.sweep_id = pool->sweep_id,
                                              .spec_json = pool->spec_json,
                                              .identity = pool->identity,
                                              .share = pool->share,
                                              .is_pinned = pool->is_pinned};
    const status_t status = probe_batch_seal(batch, &params, err);
    if (status != ST_OK) {
        probe_batch_destroy(&batch);
        return status;
    }
    pool->batches[pool->n_batches++] = batch;
    pool->counts.n_tasks++;
    return ST_OK;
}

/* Few probes are spread over the workers that there are. */
static size_t unit_size(const struct probe_pool *pool)
{
    const size_t n_workers = worker_table_count(dispatcher_workers(pool->dispatcher));
    const size_t n = pool->waiting.n / (n_workers ? n_workers : 1);
    if (n < SMALLEST_UNIT) return SMALLEST_UNIT;
    return n < PROBE_MAX_PER_UNIT ? n : PROBE_MAX_PER_UNIT;
}

static status_t make_batch(struct probe_pool *pool, struct error *err)
{
    struct probe_batch *batch = NULL;
    const status_t status = probe_batch_create(&batch, unit_size(pool), err);
    if (status != ST_OK) return status;
    while (pool->waiting.first && probe_batch_put(batch, pool->waiting.first))
        probe_queue_pop(&pool->waiting)->state = ASK_RUNNING;
    return probe_pool_add_batch(pool, batch, err);
}

static bool is_due(const struct probe_pool *pool)
{
    const struct probe_ask *oldest = pool->waiting.first;
    return pool->waiting.n >= PROBE_MAX_PER_UNIT ||
           (oldest && clock_monotonic_ms(pool->clock) - oldest->since_ms >= BATCH_WAIT_MS);
}

status_t probe_pool_make_batches(struct probe_pool *pool, struct error *err)
{
    status_t status = ST_OK;
    while (status == ST_OK && pool->n_batches < PROBE_POOL_MAX_TASKS && is_due(pool))
        status = make_batch(pool, err);
    return status;
}

/* --- sending out --------------------------------------------------------------------------- */

static status_t save(struct probe_pool *pool, struct probe_batch *batch, struct error *err)
{
    const status_t status = store_run(pool->store, NULL, err, "HSET %s %s %b", pool->tasks_key,
                                      batch->task->id, batch->record.bytes, batch->record.n_bytes);
    if (status == ST_OK) batch->state = BATCH_SAVED;
    return status;
}

static status_t send_out(struct probe_pool *pool, struct probe_batch *batch, struct error *err)
{
    const status_t status = dispatcher_add_task(pool->dispatcher, batch->task, err);
    if (status == ST_OK) batch->state = BATCH_RUNS;
    return status;
}

/* --- storing and telling ------------------------------------------------------------------- */

struct storing {
    bool is_taken[PROBE_MAX_PER_UNIT]; /* another life stored one first: that one counts */
    bool has_taken;
};

static void note_taken(void *context, size_t index, const redisReply *reply)
{
    struct storing *storing = context;
    storing->is_taken[index] = reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
    storing->has_taken = storing->has_taken || storing->is_taken[index];
}

static status_t queue_store(struct probe_pool *pool, const struct probe_ask *ask,
                            const struct probe_answer *answer, struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, PROBE_MAX_RESULT_BYTES);
    status_t status = probe_answer_encode(answer, &bytes, err);
    if (status == ST_OK)
        status = store_queue(pool->store, err, "HSETNX %s %s %b", pool->answers_key, ask->id,
                             bytes.bytes, bytes.n_bytes);
    buffer_fini(&bytes);
    return status;
}

static status_t read_taken(struct probe_pool *pool, const struct probe_ask *ask,
                           struct probe_answer *answer, struct error *err)
{
    struct probe_answer first;
    redisReply *reply = NULL;
    status_t status = store_run(pool->store, &reply, err, "HGET %s %s", pool->answers_key, ask->id);
    if (status != ST_OK) return status;
    if (reply->type == REDIS_REPLY_STRING &&
        probe_answer_decode(reply->str, reply->len, &first, NULL) == ST_OK) {
        probe_answer_fini(answer);
        *answer = first;
    }
    freeReplyObject(reply);
    return ST_OK;
}

static status_t store_unit(struct probe_pool *pool, struct probe_batch_unit *unit,
                           struct error *err)
{
    struct storing storing = {.has_taken = false};
    status_t status = ST_OK;
    for (size_t i = 0; i < unit->n && status == ST_OK; i++)
        status = queue_store(pool, unit->asks[i], &unit->answers[i], err);
    const status_t drained = store_drain(pool->store, note_taken, &storing, err);
    if (status == ST_OK) status = drained;
    for (size_t i = 0; i < unit->n && status == ST_OK && storing.has_taken; i++)
        if (storing.is_taken[i]) status = read_taken(pool, unit->asks[i], &unit->answers[i], err);
    unit->is_stored = status == ST_OK;
    return status;
}

/* Each ask once, whatever happens in between. */
static status_t tell_unit(struct probe_pool *pool, struct probe_batch_unit *unit,
                          probe_pool_answer_fn *on_answer, void *context, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < unit->n && status == ST_OK; i++) {
        struct probe_ask *ask = unit->asks[i];
        unit->asks[i] = NULL;
        if (ask) status = probe_pool_tell(pool, ask, &unit->answers[i], on_answer, context, err);
    }
    unit->is_told = status == ST_OK;
    return status;
}

static void count(struct probe_pool *pool, const struct probe_batch_unit *unit)
{
    if (unit->is_dead)
        pool->counts.n_dead += unit->n;
    else
        pool->counts.n_computed += unit->n;
}

static status_t take_answers(struct probe_pool *pool, struct probe_batch *batch,
                             probe_pool_answer_fn *on_answer, void *context, struct error *err)
{
    status_t status = ST_OK;
    probe_batch_take_dead(batch);
    for (size_t i = 0; i < batch->n_units && status == ST_OK; i++) {
        struct probe_batch_unit *unit = &batch->units[i];
        if (!unit->is_answered || unit->is_told) continue;
        if (!unit->is_stored) {
            status = store_unit(pool, unit, err);
            if (status == ST_OK) count(pool, unit);
        }
        if (status == ST_OK) status = tell_unit(pool, unit, on_answer, context, err);
        batch->n_told += unit->is_told;
    }
    if (status == ST_OK && batch->n_told == batch->n_units) batch->state = BATCH_OVER;
    return status;
}

/* --- driving ------------------------------------------------------------------------------- */

/* The record goes last: a task whose keys are there is found by it. */
static status_t end(struct probe_pool *pool, const struct probe_batch *batch, struct error *err)
{
    const status_t status = dispatcher_end_task(pool->dispatcher, batch->task, err);
    return status == ST_OK
               ? store_run(pool->store, NULL, err, "HDEL %s %s", pool->tasks_key, batch->task->id)
               : status;
}

static status_t drive_one(struct probe_pool *pool, struct probe_batch *batch,
                          probe_pool_answer_fn *on_answer, void *context, bool *is_ended,
                          struct error *err)
{
    status_t status = ST_OK;
    if (batch->state == BATCH_NEW) status = save(pool, batch, err);
    if (status == ST_OK && batch->state == BATCH_SAVED) status = send_out(pool, batch, err);
    if (status == ST_OK && batch->state == BATCH_RUNS)
        status = take_answers(pool, batch, on_answer, context, err);
    if (status == ST_OK && batch->state == BATCH_OVER) {
        status = end(pool, batch, err);
        *is_ended = status == ST_OK;
    }
    return status;
}

/* Tasks that on_answer's asks make come to their turn at the next step. */
status_t probe_pool_drive(struct probe_pool *pool, probe_pool_answer_fn *on_answer, void *context,
                          struct error *err)
{
    status_t status = ST_OK;
    size_t n_kept = 0, i = 0;
    for (; i < pool->n_batches && status == ST_OK; i++) {
        bool is_ended = false;
        status = drive_one(pool, pool->batches[i], on_answer, context, &is_ended, err);
        if (is_ended)
            probe_batch_destroy(&pool->batches[i]);
        else
            pool->batches[n_kept++] = pool->batches[i];
    }
    while (i < pool->n_batches) pool->batches[n_kept++] = pool->batches[i++];
    pool->n_batches = n_kept;
    return status;
}
