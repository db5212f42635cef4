/* Which units have a result in the store: of a task that is opened, of a lease whose worker died,
 * and those whose results are kept elsewhere. Reading them back: reading.c. */
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *dispatcher_task_key(const char *task_id, const char *part, char out[TASK_KEY_SIZE])
{
    (void)snprintf(out, TASK_KEY_SIZE, "interp:{%s}:%s", task_id, part);
    return out;
}

/* --- what a dead worker left in the store -------------------------------------------------- */

struct stored_scan {
    struct dispatcher *dispatcher;
    struct lease *lease;
    bool has_any;
    size_t last;
    unsigned char *is_stored; /* [lease->high - lease->low] */
};

static void on_exists(void *context, size_t index, const redisReply *reply)
{
    struct stored_scan *scan = context;
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer != 1) return;
    scan->is_stored[index] = 1;
    scan->has_any = true;
    scan->last = index;
}

static status_t scan_store(struct stored_scan *scan, struct error *err)
{
    const struct lease *lease = scan->lease;
    struct store *store = scan->dispatcher->options.store;
    char key[TASK_KEY_SIZE];
    status_t status = ST_OK;
    (void)dispatcher_task_key(lease->task->id, "done", key);
    for (size_t unit = lease->low; unit < lease->high && status == ST_OK; unit++)
        status = store_queue(store, err, "HEXISTS %s %llu", key, (unsigned long long)unit);
    const status_t drained = store_drain(store, on_exists, scan, err);
    return status == ST_OK ? drained : status;
}

status_t dispatcher_take_stored(struct dispatcher *dispatcher, struct lease *lease,
                                struct error *err)
{
    struct stored_scan scan = {.dispatcher = dispatcher, .lease = lease};
    scan.is_stored = calloc(lease->high - lease->low + 1, 1);
    if (!scan.is_stored) return error_set(err, ST_NO_MEMORY, "units of a lease");
    status_t status = scan_store(&scan, err);
    const size_t low = lease->low;
    for (size_t i = 0; status == ST_OK && scan.has_any && i <= scan.last; i++) {
        if (!scan.is_stored[i])
            dispatcher_return_unit(dispatcher, lease, low + i); /* it had failed */
        else if (lease->task->ops->result)
            status = dispatcher_queue_read(dispatcher, lease->task, low + i, err);
        else
            dispatcher->counts.n_units_settled += unit_table_settle(lease->task->units, low + i);
    }
    if (status == ST_OK && scan.has_any) lease->low = low + scan.last + 1;
    free(scan.is_stored);
    return status;
}

static void log_failure(const struct task *task, const struct unit_failure *failure, size_t n_dead)
{
    log_event(n_dead ? LOG_ERROR : LOG_WARN, n_dead ? "unit_dead" : "unit_failed",
              LOG_TEXT("task_id", task->id), LOG_NUMBER("unit", failure->low),
              LOG_NUMBER("n_units", failure->high - failure->low),
              LOG_TEXT("worker", failure->worker), LOG_TEXT("error", failure->text));
}

void dispatcher_note_failure(struct dispatcher *dispatcher, struct task *task,
                             const struct unit_failure *failure)
{
    struct task_error note = {.low = failure->low,
                              .high = failure->high,
                              .unix_ms = clock_unix_ms(dispatcher->options.clock)};
    (void)snprintf(note.worker, sizeof note.worker, "%s", failure->worker);
    (void)snprintf(note.text, sizeof note.text, "%s", failure->text);
    size_t n_failed = 0, n_dead = 0;
    task_note_error(task, &note);
    for (size_t unit = failure->low; unit < failure->high; unit++) {
        const enum unit_state before = unit_table_state(task->units, unit);
        if (before != UNIT_READY && before != UNIT_LEASED) continue;
        n_failed++;
        if (unit_table_fail(task->units, unit, failure->blame, &dispatcher->options.limits) !=
            UNIT_DEAD)
            continue;
        n_dead++;
        dead_units_add(&dispatcher->dead, task, unit);
    }
    if (n_failed == 0) return;
    dispatcher->counts.n_failures++;
    log_failure(task, failure, n_dead);
}

/* --- opening ------------------------------------------------------------------------------- */

static status_t mark_settled(struct dispatcher *dispatcher, struct task *task,
                             const redisReply *units, struct error *err)
{
    for (size_t i = 0; i < units->elements; i++) {
        char *end;
        const unsigned long long unit = strtoull(units->element[i]->str, &end, 10);
        if (*end || unit >= unit_table_n_units(task->units))
            return error_set(err, ST_CORRUPT, "task %s: the store names unit \"%s\"", task->id,
                             units->element[i]->str);
        status_t status = ST_OK;
        if (task->ops->result)
            status = dispatcher_queue_read(dispatcher, task, (size_t)unit, err);
        else
            (void)unit_table_settle(task->units, (size_t)unit);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

struct opening {
    struct dispatcher *dispatcher;
    struct task *task;
    status_t status;
    struct error error;
};

/* Of SET, which opens the task, nothing is to be learnt; HKEYS says what is settled. */
static void on_opened(void *context, size_t index, const redisReply *reply)
{
    struct opening *self = context;
    if (index == 1 && reply->type == REDIS_REPLY_ARRAY)
        self->status = mark_settled(self->dispatcher, self->task, reply, &self->error);
}

status_t dispatcher_open_and_load(struct dispatcher *dispatcher, struct task *task,
                                  struct error *err)
{
    struct store *store = dispatcher->options.store;
    struct opening opening = {.dispatcher = dispatcher, .task = task};
    char open_key[TASK_KEY_SIZE], done_key[TASK_KEY_SIZE];
    status_t status =
        store_queue(store, err, "SET %s 1 NX", dispatcher_task_key(task->id, "open", open_key));
    if (status == ST_OK)
        status =
            store_queue(store, err, "HKEYS %s", dispatcher_task_key(task->id, "done", done_key));
    if (status == ST_OK) status = store_drain(store, on_opened, &opening, err);
    if (status == ST_OK && opening.status != ST_OK)
        status = error_set(err, opening.status, "%s", opening.error.text);
    return status;
}

/* --- results kept elsewhere ---------------------------------------------------------------- */

enum { KEEP_KEYS = 3, KEEP_FIXED_ARGS = 6, KEEP_UNITS_PER_SCRIPT = 1024, NUMBER_SIZE = 24 };

static status_t keep_some(struct dispatcher *dispatcher, const struct task *task,
                          const size_t *units, size_t n_units, struct error *err)
{
    struct leader_fence fence;
    char key[TASK_KEY_SIZE], numbers[KEEP_UNITS_PER_SCRIPT][NUMBER_SIZE];
    leader_fence(dispatcher->options.leader, &fence);
    const char *args[KEEP_FIXED_ARGS + KEEP_UNITS_PER_SCRIPT] = {
        dispatcher_task_key(task->id, "done", key),
        fence.keys[0],
        fence.keys[1],
        fence.args[0],
        fence.args[1],
        TASK_RESULT_MARK};
    for (size_t i = 0; i < n_units; i++) {
        (void)snprintf(numbers[i], NUMBER_SIZE, "%zu", units[i]);
        args[KEEP_FIXED_ARGS + i] = numbers[i];
    }
    return store_run_script(dispatcher->options.store, NULL, &dispatcher->keep, KEEP_KEYS,
                            KEEP_FIXED_ARGS + n_units, args, NULL, err);
}

status_t dispatcher_keep_results(struct dispatcher *dispatcher, const struct task *task,
                                 const size_t *units, size_t n_units, struct error *err)
{
    status_t status = ST_OK;
    for (size_t n_done = 0, n; n_done < n_units && status == ST_OK; n_done += n) {
        n = n_units - n_done < KEEP_UNITS_PER_SCRIPT ? n_units - n_done : KEEP_UNITS_PER_SCRIPT;
        status = keep_some(dispatcher, task, units + n_done, n, err);
    }
    return status;
}
