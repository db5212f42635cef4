/* What an earlier life of the coordinator had sent out: the same tasks again, by the same names, so
 * that leases are adopted and results that are there count. Sessions ask again and find them. */
#include "coordinator/sweep/probe_pool_parts.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record { /* of one task, decoded */
    size_t n_units;
    struct probe_unit units[PROBE_BATCH_MAX_UNITS];
};

static bool is_within(const struct probe_pool *pool, const struct probe_unit *unit)
{
    for (size_t i = 0; i < unit->n_probes; i++)
        if (unit->probes[i].target >= pool->n_targets ||
            unit->probes[i].slot >= pool->targets[unit->probes[i].target].n_slots)
            return false;
    return true;
}

static bool read_record(const struct probe_pool *pool, const redisReply *bytes, struct record *out)
{
    struct wire_parts parts;
    if (wire_parts_decode(bytes->str, bytes->len, &parts, NULL) != ST_OK || parts.n == 0 ||
        parts.n > PROBE_BATCH_MAX_UNITS)
        return false;
    for (out->n_units = 0; out->n_units < parts.n; out->n_units++) {
        const struct wire_text part = wire_part(&parts, out->n_units);
        struct probe_unit *unit = &out->units[out->n_units];
        if (probe_unit_decode(part.bytes, part.n_bytes, unit, NULL) != ST_OK ||
            !is_within(pool, unit))
            return false;
    }
    return true;
}

/* Named by other content: another version of the program, or a broken record. */
static bool is_named(const struct probe_pool *pool, const char *name, const redisReply *bytes)
{
    char id[TASK_ID_SIZE];
    const struct probe_batch_params params = {.sweep_id = pool->sweep_id,
                                              .identity = pool->identity};
    return probe_batch_name(&params, bytes->str, bytes->len, id, NULL) == ST_OK &&
           strcmp(id, name) == 0;
}

static status_t put_probe(struct probe_pool *pool, struct probe_batch *batch,
                          const struct probe *probe, struct error *err)
{
    char id[HASH_HEX_SIZE];
    status_t status = probe_pool_name(pool, probe->target, probe->slot, probe->text, id, err);
    if (status != ST_OK) return status;
    struct probe_ask *ask = probe_asks_find(&pool->asks, id);
    if (!ask) {
        status = probe_asks_add(&pool->asks, id, probe->text.bytes, probe->text.n_bytes, &ask, err);
        if (status != ST_OK) return status;
        ask->target = probe->target;
        ask->slot = probe->slot;
    }
    ask->state = ASK_RUNNING;
    struct probe_batch_unit *unit = &batch->units[batch->n_units - 1];
    unit->asks[unit->n++] = ask;
    unit->n_bytes += ask->n_bytes;
    return ST_OK;
}

/* One probe is in one task only, or the second task would find it gone. */
static bool is_running(const struct probe_pool *pool, const struct record *record)
{
    for (size_t i = 0; i < record->n_units; i++)
        for (size_t k = 0; k < record->units[i].n_probes; k++) {
            const struct probe *probe = &record->units[i].probes[k];
            char id[HASH_HEX_SIZE];
            const struct probe_ask *ask =
                probe_pool_name(pool, probe->target, probe->slot, probe->text, id, NULL) == ST_OK
                    ? probe_asks_find(&pool->asks, id)
                    : NULL;
            if (ask && ask->state == ASK_RUNNING) return true;
        }
    return false;
}

static status_t take_up(struct probe_pool *pool, const struct record *record, struct error *err)
{
    struct probe_batch *batch = NULL;
    status_t status = probe_batch_create(&batch, PROBE_MAX_PER_UNIT, err);
    for (size_t i = 0; status == ST_OK && i < record->n_units; i++) {
        (void)probe_batch_next_unit(batch);
        for (size_t k = 0; k < record->units[i].n_probes && status == ST_OK; k++)
            status = put_probe(pool, batch, &record->units[i].probes[k], err);
    }
    if (status != ST_OK) {
        probe_batch_destroy(&batch);
        return status;
    }
    status = probe_pool_add_batch(pool, batch, err);
    if (status == ST_OK) pool->batches[pool->n_batches - 1]->state = BATCH_SAVED;
    return status;
}

static status_t discard(struct probe_pool *pool, const char *task_id, struct error *err)
{
    log_event(LOG_WARN, "probe_task_discarded", LOG_TEXT("task_id", task_id));
    const status_t status =
        dispatcher_forget_keys(pool->dispatcher, task_id, "it could not be read", err);
    return status == ST_OK
               ? store_run(pool->store, NULL, err, "HDEL %s %s", pool->tasks_key, task_id)
               : status;
}

/* By a try that the store broke off. */
static bool is_taken_up(const struct probe_pool *pool, const char *name)
{
    for (size_t i = 0; i < pool->n_batches; i++)
        if (strcmp(pool->batches[i]->task->id, name) == 0) return true;
    return false;
}

static status_t recover_one(struct probe_pool *pool, const redisReply *name,
                            const redisReply *bytes, struct error *err)
{
    if (is_taken_up(pool, name->str)) return ST_OK;
    struct record *record = calloc(1, sizeof *record);
    if (!record) return error_set(err, ST_NO_MEMORY, "tasks of probes");
    const bool is_known = pool->n_batches < PROBE_POOL_MAX_TASKS &&
                          is_named(pool, name->str, bytes) && read_record(pool, bytes, record) &&
                          !is_running(pool, record);
    const status_t status = is_known ? take_up(pool, record, err) : discard(pool, name->str, err);
    free(record);
    return status;
}

/* Probes that were asked before the first step and run already need no looking up. */
static void filter_lookups(struct probe_pool *pool)
{
    struct probe_queue before = pool->lookups;
    struct probe_ask *ask;
    pool->lookups = (struct probe_queue){0};
    while ((ask = probe_queue_pop(&before)))
        if (ask->state == ASK_LOOKUP) probe_queue_push(&pool->lookups, ask);
}

status_t probe_pool_recover(struct probe_pool *pool, struct error *err)
{
    redisReply *reply = NULL;
    if (pool->is_recovered) return ST_OK;
    status_t status = store_run(pool->store, &reply, err, "HGETALL %s", pool->tasks_key);
    if (status != ST_OK) return status;
    for (size_t i = 0; i + 1 < reply->elements && status == ST_OK; i += 2)
        status = recover_one(pool, reply->element[i], reply->element[i + 1], err);
    freeReplyObject(reply);
    filter_lookups(pool);
    pool->is_recovered = status == ST_OK;
    return status;
}

/* --- the end ------------------------------------------------------------------------------- */

status_t probe_pool_forget(struct dispatcher *dispatcher, struct store *store, const char *sweep_id,
                           struct error *err)
{
    static const char why[] = "nobody waits for its answers any more";
    char answers[PROBE_KEY_SIZE], tasks[PROBE_KEY_SIZE];
    redisReply *names = NULL;
    char any[TASK_ID_SIZE]; /* the list of dead units goes with a task of the sweep */
    probe_pool_keys(sweep_id, answers, tasks);
    (void)snprintf(any, sizeof any, "%.*s/probe", SWEEP_ID_SIZE, sweep_id);
    status_t status = dispatcher_forget_keys(dispatcher, any, why, err);
    if (status == ST_OK) status = store_run(store, &names, err, "HKEYS %s", tasks);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < names->elements && status == ST_OK; i++)
        status = dispatcher_forget_keys(dispatcher, names->element[i]->str, why, err);
    freeReplyObject(names);
    return status == ST_OK ? store_run(store, NULL, err, "UNLINK %s %s", answers, tasks) : status;
}
