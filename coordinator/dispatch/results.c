/* From "it is in the store" to "the engine has it": results are read back in bounded batches. */
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READS_PER_STEP = 8, MARKS_PER_SCAN = 4096 };

char *dispatcher_task_key(const char *task_id, const char *part, char out[TASK_KEY_SIZE])
{
    (void)snprintf(out, TASK_KEY_SIZE, "interp:{%s}:%s", task_id, part);
    return out;
}

status_t dispatcher_queue_read(struct dispatcher *dispatcher, struct task *task, size_t unit,
                               struct error *err)
{
    if (!unit_table_note_stored(task->units, unit)) return ST_OK; /* read, or waiting to be */
    if (dispatcher->n_reads == dispatcher->reads_capacity) {
        const size_t capacity = dispatcher->reads_capacity ? 2 * dispatcher->reads_capacity : 256;
        struct pending_read *grown = malloc(capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu pending results", capacity);
        for (size_t i = 0; i < dispatcher->n_reads; i++)
            grown[i] = dispatcher->reads[(dispatcher->reads_head + i) % dispatcher->reads_capacity];
        free(dispatcher->reads);
        dispatcher->reads = grown;
        dispatcher->reads_capacity = capacity;
        dispatcher->reads_head = 0;
    }
    const size_t at = (dispatcher->reads_head + dispatcher->n_reads++) % dispatcher->reads_capacity;
    dispatcher->reads[at] = (struct pending_read){task, unit};
    return ST_OK;
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

void dispatcher_forget_reads(struct dispatcher *dispatcher, const struct task *task)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < dispatcher->n_reads; i++) {
        const struct pending_read read =
            dispatcher->reads[(dispatcher->reads_head + i) % dispatcher->reads_capacity];
        if (read.task == task) continue;
        dispatcher->reads[(dispatcher->reads_head + n_kept++) % dispatcher->reads_capacity] = read;
    }
    dispatcher->n_reads = n_kept;
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

/* What one pipeline brought. */
struct reading {
    struct dispatcher *dispatcher;
    struct pending_read refused[READS_PER_STEP];
    size_t n_refused;
};

static void note_bad_result(struct dispatcher *dispatcher, const struct pending_read *read,
                            const char *why)
{
    const struct unit_failure failure = {read->unit, read->unit + 1, "store", why,
                                         UNIT_BLAME_ERROR};
    dispatcher_note_failure(dispatcher, read->task, &failure);
}

static void take_result(struct reading *reading, const struct pending_read *read,
                        const redisReply *reply)
{
    struct dispatcher *dispatcher = reading->dispatcher;
    struct task *task = read->task;
    if (reply->type != REDIS_REPLY_STRING) { /* said to be stored, and is not */
        note_bad_result(dispatcher, read, "the result is missing");
        return;
    }
    const enum unit_state state = unit_table_state(task->units, read->unit);
    if (state == UNIT_DONE || state == UNIT_CANCELLED) return; /* read before */
    struct error err = {0};
    if (task->ops->result(task, read->unit, reply->str, reply->len, &err) != ST_OK) {
        reading->refused[reading->n_refused++] = *read;
        note_bad_result(dispatcher, read, err.text);
        return;
    }
    dispatcher->counts.n_units_settled += unit_table_settle(task->units, read->unit);
    task->n_read++;
}

static void on_result(void *context, size_t index, const redisReply *reply)
{
    struct reading *reading = context;
    const struct dispatcher *dispatcher = reading->dispatcher;
    const struct pending_read read =
        dispatcher->reads[(dispatcher->reads_head + index) % dispatcher->reads_capacity];
    take_result(reading, &read, reply);
}

/* First writer wins, so a result that nobody can read must go, or every attempt ends with it. */
static status_t delete_refused(const struct reading *reading, struct error *err)
{
    struct store *store = reading->dispatcher->options.store;
    status_t status = ST_OK;
    for (size_t i = 0; i < reading->n_refused && status == ST_OK; i++) {
        const struct pending_read *read = &reading->refused[i];
        char key[TASK_KEY_SIZE];
        status = store_queue(store, err, "HDEL %s %llu",
                             dispatcher_task_key(read->task->id, "done", key),
                             (unsigned long long)read->unit);
    }
    return status == ST_OK ? store_drain(store, NULL, NULL, err) : status;
}

status_t dispatcher_read_results(struct dispatcher *dispatcher, struct error *err)
{
    const size_t n = dispatcher->n_reads < READS_PER_STEP ? dispatcher->n_reads : READS_PER_STEP;
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const struct pending_read *read =
            &dispatcher->reads[(dispatcher->reads_head + i) % dispatcher->reads_capacity];
        char key[TASK_KEY_SIZE];
        status = store_queue(dispatcher->options.store, err, "HGET %s %llu",
                             dispatcher_task_key(read->task->id, "done", key),
                             (unsigned long long)read->unit);
    }
    struct reading reading = {.dispatcher = dispatcher};
    if (status == ST_OK && n)
        status = store_drain(dispatcher->options.store, on_result, &reading, err);
    if (status == ST_OK && reading.n_refused) status = delete_refused(&reading, err);
    if (status != ST_OK || n == 0) return status; /* what is read twice is dropped by its state */
    dispatcher->reads_head = (dispatcher->reads_head + n) % dispatcher->reads_capacity;
    dispatcher->n_reads -= n;
    return ST_OK;
}

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
    status_t status = store_queue(store, err, "SET %s 1 NX",
                                  dispatcher_task_key(task->id, "open", open_key));
    if (status == ST_OK)
        status =
            store_queue(store, err, "HKEYS %s", dispatcher_task_key(task->id, "done", done_key));
    if (status == ST_OK) status = store_drain(store, on_opened, &opening, err);
    if (status == ST_OK && opening.status != ST_OK)
        status = error_set(err, opening.status, "%s", opening.error.text);
    return status;
}
