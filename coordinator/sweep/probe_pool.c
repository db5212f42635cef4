#include "coordinator/sweep/probe_pool_parts.h"

#include "common/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void probe_pool_keys(const char *sweep_id, char answers[PROBE_KEY_SIZE], char tasks[PROBE_KEY_SIZE])
{
    (void)snprintf(answers, PROBE_KEY_SIZE, "interp:probes:%s", sweep_id);
    (void)snprintf(tasks, PROBE_KEY_SIZE, "interp:probe_tasks:%s", sweep_id);
}

status_t probe_pool_create(struct probe_pool **out, const struct probe_pool_params *params,
                           struct error *err)
{
    const size_t n_id = strlen(params->sweep_id);
    if (n_id >= SWEEP_ID_SIZE || params->n_targets == 0)
        return error_set(err, ST_BAD_INPUT, "probes of sweep %s with %zu targets", params->sweep_id,
                         params->n_targets);
    struct probe_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return error_set(err, ST_NO_MEMORY, "probe pool");
    pool->dispatcher = params->dispatcher;
    pool->store = params->store;
    pool->clock = params->clock;
    pool->share = params->share;
    pool->is_pinned = params->is_pinned;
    pool->n_targets = params->n_targets;
    memcpy(pool->sweep_id, params->sweep_id, n_id + 1);
    (void)hash_sha256_hex(params->identity, strlen(params->identity), pool->identity);
    probe_pool_keys(pool->sweep_id, pool->answers_key, pool->tasks_key);
    pool->spec_json = strdup(params->spec_json);
    pool->targets = malloc(params->n_targets * sizeof *pool->targets);
    if (!pool->spec_json || !pool->targets) {
        probe_pool_destroy(&pool);
        return error_set(err, ST_NO_MEMORY, "probe pool");
    }
    memcpy(pool->targets, params->targets, params->n_targets * sizeof *pool->targets);
    *out = pool;
    return ST_OK;
}

void probe_pool_destroy(struct probe_pool **pool)
{
    struct probe_pool *self = *pool;
    if (!self) return;
    for (size_t i = 0; i < self->n_batches; i++) {
        dispatcher_forget_task(self->dispatcher, self->batches[i]->task);
        probe_batch_destroy(&self->batches[i]);
    }
    probe_asks_fini(&self->asks);
    free(self->spec_json);
    free(self->targets);
    free(self);
    *pool = NULL;
}

/* --- asking -------------------------------------------------------------------------------- */

status_t probe_pool_name(const struct probe_pool *pool, uint32_t target, uint32_t slot,
                         struct wire_text text, char id[HASH_HEX_SIZE], struct error *err)
{
    char head[HASH_HEX_SIZE + 64];
    struct hash_stream *stream = NULL;
    const int n = snprintf(head, sizeof head, "probe|%s|%016llx|%u|", pool->identity,
                           (unsigned long long)pool->targets[target].key, (unsigned)slot);
    status_t status = hash_stream_create(&stream, err);
    if (status == ST_OK) status = hash_stream_add(stream, head, (size_t)n, err);
    if (status == ST_OK) status = hash_stream_add(stream, text.bytes, text.n_bytes, err);
    if (status == ST_OK) status = hash_stream_hex(stream, id, err);
    hash_stream_destroy(&stream);
    return status;
}

static status_t check_request(const struct probe_pool *pool, const struct probe_request *request,
                              struct error *err)
{
    if (request->target >= pool->n_targets)
        return error_set(err, ST_BAD_INPUT, "probe of target %u of %zu", (unsigned)request->target,
                         pool->n_targets);
    if (request->slot >= pool->targets[request->target].n_slots)
        return error_set(err, ST_BAD_INPUT, "probe of slot %u of %u", (unsigned)request->slot,
                         (unsigned)pool->targets[request->target].n_slots);
    return ST_OK;
}

static void want(struct probe_pool *pool, struct probe_ask *ask)
{
    if (ask->is_wanted) return;
    ask->is_wanted = true;
    pool->n_wanted++;
    pool->counts.n_asked++;
}

/* A text that is too long is kept by its length only: it will be answered, never sent. */
static status_t add_ask(struct probe_pool *pool, const struct probe_request *request,
                        const char *id, struct error *err)
{
    struct probe_ask *ask;
    const bool is_too_long = request->n_bytes > PROBE_MAX_TEXT_BYTES;
    if (pool->asks.n >= PROBE_POOL_MAX_OPEN)
        return error_set(err, ST_BUSY, "%d probes are open", PROBE_POOL_MAX_OPEN);
    const status_t status = probe_asks_add(&pool->asks, id, request->text,
                                           is_too_long ? 0 : request->n_bytes, &ask, err);
    if (status != ST_OK) return status;
    ask->target = request->target;
    ask->slot = request->slot;
    ask->n_bytes = request->n_bytes;
    probe_queue_push(&pool->lookups, ask);
    want(pool, ask);
    return ST_OK;
}

status_t probe_pool_ask(struct probe_pool *pool, const struct probe_request *request,
                        char id[HASH_HEX_SIZE], struct error *err)
{
    const struct wire_text text = {request->text, request->n_bytes};
    status_t status = check_request(pool, request, err);
    if (status == ST_OK)
        status = probe_pool_name(pool, request->target, request->slot, text, id, err);
    if (status != ST_OK) return status;
    struct probe_ask *open = probe_asks_find(&pool->asks, id);
    if (!open) return add_ask(pool, request, id, err);
    want(pool, open);
    return ST_OK;
}

size_t probe_pool_n_open(const struct probe_pool *pool)
{
    return pool->n_wanted;
}

struct probe_pool_counts probe_pool_counts(const struct probe_pool *pool)
{
    return pool->counts;
}

/* --- telling ------------------------------------------------------------------------------- */

status_t probe_pool_tell(struct probe_pool *pool, struct probe_ask *ask,
                         const struct probe_answer *answer, probe_pool_answer_fn *on_answer,
                         void *context, struct error *err)
{
    char id[HASH_HEX_SIZE];
    const bool is_wanted = ask->is_wanted;
    memcpy(id, ask->id, sizeof id);
    pool->n_wanted -= is_wanted;
    probe_asks_drop(&pool->asks, ask); /* first: on_answer may ask again */
    return is_wanted ? on_answer(context, id, answer, err) : ST_OK;
}

status_t probe_pool_step(struct probe_pool *pool, probe_pool_answer_fn *on_answer, void *context,
                         struct error *err)
{
    status_t status = probe_pool_recover(pool, err);
    if (status == ST_OK) status = probe_pool_drive(pool, on_answer, context, err);
    if (status == ST_OK) status = probe_pool_look_up(pool, on_answer, context, err);
    if (status == ST_OK) status = probe_pool_make_batches(pool, err);
    if (status == ST_OK) status = probe_pool_drive(pool, on_answer, context, err);
    return status;
}

void probe_pool_retry(struct probe_pool *pool)
{
    for (size_t i = 0; i < pool->n_batches; i++)
        (void)dispatcher_retry_dead(pool->dispatcher, pool->batches[i]->task);
}
