/* Answers that an earlier ask, or an earlier life, has left in the store. */
#include "coordinator/sweep/probe_pool_parts.h"

#include <stdlib.h>

enum { LOOKUPS_AT_ONCE = 128, LOOKUPS_PER_STEP = 4096 };

struct lookup {
    size_t n;
    struct probe_ask *asks[LOOKUPS_AT_ONCE];
    struct probe_answer answers[LOOKUPS_AT_ONCE];
    bool is_stored[LOOKUPS_AT_ONCE], is_unreadable[LOOKUPS_AT_ONCE];
};

/* Nobody can read it, and the first writer wins: it is removed, and computed again. */
static void take_stored(void *context, size_t index, const redisReply *reply)
{
    struct lookup *lookup = context;
    if (reply->type != REDIS_REPLY_STRING) return;
    lookup->is_stored[index] =
        probe_answer_decode(reply->str, reply->len, &lookup->answers[index], NULL) == ST_OK;
    lookup->is_unreadable[index] = !lookup->is_stored[index];
}

static status_t read_stored(struct probe_pool *pool, struct lookup *lookup, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < lookup->n && status == ST_OK; i++)
        status =
            store_queue(pool->store, err, "HGET %s %s", pool->answers_key, lookup->asks[i]->id);
    status_t drained = store_drain(pool->store, take_stored, lookup, err);
    if (status == ST_OK) status = drained;
    bool has_unreadable = false;
    for (size_t i = 0; i < lookup->n && status == ST_OK; i++) {
        if (!lookup->is_unreadable[i]) continue;
        has_unreadable = true;
        status =
            store_queue(pool->store, err, "HDEL %s %s", pool->answers_key, lookup->asks[i]->id);
    }
    if (!has_unreadable) return status;
    drained = store_drain(pool->store, NULL, NULL, err);
    return status == ST_OK ? drained : status;
}

/* What is not told goes where it belongs: back, if the store is away. */
static status_t settle(struct probe_pool *pool, struct lookup *lookup, status_t status,
                       probe_pool_answer_fn *on_answer, void *context, struct error *err)
{
    const bool was_read = status == ST_OK;
    for (size_t i = 0; i < lookup->n; i++) {
        struct probe_ask *ask = lookup->asks[i];
        if (was_read && lookup->is_stored[i] && status == ST_OK) {
            pool->counts.n_stored++;
            status = probe_pool_tell(pool, ask, &lookup->answers[i], on_answer, context, err);
        } else if (was_read && !lookup->is_stored[i]) {
            ask->state = ASK_WAITING;
            ask->since_ms = clock_monotonic_ms(pool->clock);
            probe_queue_push(&pool->waiting, ask);
        } else {
            probe_queue_push(&pool->lookups, ask);
        }
        probe_answer_fini(&lookup->answers[i]);
    }
    return status;
}

static status_t refuse(struct probe_pool *pool, struct probe_ask *ask,
                       probe_pool_answer_fn *on_answer, void *context, struct error *err)
{
    char text[PROBE_ERROR_SIZE];
    (void)snprintf(text, sizeof text, "a text of %zu bytes, at most %d", ask->n_bytes,
                   PROBE_MAX_TEXT_BYTES);
    const struct probe_answer answer = probe_answer_of_error(text);
    return probe_pool_tell(pool, ask, &answer, on_answer, context, err);
}

status_t probe_pool_look_up(struct probe_pool *pool, probe_pool_answer_fn *on_answer, void *context,
                            struct error *err)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) return error_set(err, ST_NO_MEMORY, "probes");
    status_t status = ST_OK;
    for (size_t n = 0; n < LOOKUPS_PER_STEP && pool->lookups.n && status == ST_OK;) {
        *lookup = (struct lookup){0};
        while (lookup->n < LOOKUPS_AT_ONCE && pool->lookups.n && status == ST_OK) {
            struct probe_ask *ask = probe_queue_pop(&pool->lookups);
            n++;
            if (ask->n_bytes > PROBE_MAX_TEXT_BYTES)
                status = refuse(pool, ask, on_answer, context, err);
            else
                lookup->asks[lookup->n++] = ask;
        }
        if (status == ST_OK) status = read_stored(pool, lookup, err);
        status = settle(pool, lookup, status, on_answer, context, err);
    }
    free(lookup);
    return status;
}
