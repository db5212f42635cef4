/* Results on their way from the store to the engine: a ring of what is to be read, emptied in
 * bounded batches. A task that holds its results (task->holds_results) is passed over for now. */
#include "coordinator/dispatch/dispatcher_state.h"

#include <stdlib.h>
#include <string.h>

enum { READS_PER_STEP = 8 };

/* --- the ring ------------------------------------------------------------------------------ */

static void push_read(struct dispatcher *dispatcher, const struct pending_read *read)
{
    const size_t at = (dispatcher->reads_head + dispatcher->n_reads++) % dispatcher->reads_capacity;
    dispatcher->reads[at] = *read;
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
    push_read(dispatcher, &(struct pending_read){task, unit});
    return ST_OK;
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

/* The next reads, oldest first; those of a task that holds its results wait. */
static size_t pop_reads(struct dispatcher *dispatcher, struct pending_read out[READS_PER_STEP])
{
    size_t n = 0;
    for (size_t left = dispatcher->n_reads; left > 0 && n < READS_PER_STEP; left--) {
        const struct pending_read read = dispatcher->reads[dispatcher->reads_head];
        dispatcher->reads_head = (dispatcher->reads_head + 1) % dispatcher->reads_capacity;
        dispatcher->n_reads--;
        if (read.task->holds_results)
            push_read(dispatcher, &read);
        else
            out[n++] = read;
    }
    return n;
}

bool dispatcher_has_reads(const struct dispatcher *dispatcher)
{
    for (size_t i = 0; i < dispatcher->n_reads; i++)
        if (!dispatcher->reads[(dispatcher->reads_head + i) % dispatcher->reads_capacity]
                 .task->holds_results)
            return true;
    return false;
}

/* --- one batch ----------------------------------------------------------------------------- */

/* A result that leaves the store, so that another can take its place. */
struct refusal {
    const struct pending_read *read;
    bool is_mark; /* nobody's fault: what stood there is kept elsewhere no more */
    struct error why;
};

/* What one pipeline brought. */
struct reading {
    struct dispatcher *dispatcher;
    struct pending_read reads[READS_PER_STEP];
    struct refusal refused[READS_PER_STEP];
    size_t n, n_refused;
};

static void note_bad_result(struct dispatcher *dispatcher, const struct pending_read *read,
                            const char *why)
{
    const struct unit_failure failure = {read->unit, read->unit + 1, "store", why,
                                         UNIT_BLAME_ERROR};
    dispatcher_note_failure(dispatcher, read->task, &failure);
}

static bool is_mark(const redisReply *reply)
{
    return reply->len == sizeof TASK_RESULT_MARK - 1 &&
           memcmp(reply->str, TASK_RESULT_MARK, reply->len) == 0;
}

static void on_result(void *context, size_t index, const redisReply *reply)
{
    struct reading *reading = context;
    const struct pending_read *read = &reading->reads[index];
    struct task *task = read->task;
    const enum unit_state state = unit_table_state(task->units, read->unit);
    if (state == UNIT_DONE || state == UNIT_CANCELLED) return; /* read before */
    if (reply->type != REDIS_REPLY_STRING) {                   /* said to be stored, and is not */
        note_bad_result(reading->dispatcher, read, "the result is missing");
        return;
    }
    struct refusal refusal = {.read = read, .is_mark = is_mark(reply)};
    if (refusal.is_mark ||
        task->ops->result(task, read->unit, reply->str, reply->len, &refusal.why) != ST_OK) {
        reading->refused[reading->n_refused++] = refusal;
        return;
    }
    reading->dispatcher->counts.n_units_settled += unit_table_settle(task->units, read->unit);
    task->n_read++;
}

/* First writer wins, so a result that nobody can use must go, or every attempt ends with it. */
static status_t drop_refused(const struct reading *reading, struct error *err)
{
    struct store *store = reading->dispatcher->options.store;
    status_t status = ST_OK;
    for (size_t i = 0; i < reading->n_refused && status == ST_OK; i++) {
        const struct pending_read *read = reading->refused[i].read;
        char key[TASK_KEY_SIZE];
        status = store_queue(store, err, "HDEL %s %llu",
                             dispatcher_task_key(read->task->id, "done", key),
                             (unsigned long long)read->unit);
    }
    if (status == ST_OK && reading->n_refused) status = store_drain(store, NULL, NULL, err);
    for (size_t i = 0; i < reading->n_refused && status == ST_OK; i++) {
        const struct refusal *refusal = &reading->refused[i];
        if (refusal->is_mark) {
            refusal->read->task->n_lost_marks++;
            unit_table_unstore(refusal->read->task->units, refusal->read->unit);
        } else {
            note_bad_result(reading->dispatcher, refusal->read, refusal->why.text);
        }
    }
    return status;
}

status_t dispatcher_read_results(struct dispatcher *dispatcher, struct error *err)
{
    struct reading reading = {.dispatcher = dispatcher};
    reading.n = pop_reads(dispatcher, reading.reads);
    status_t status = ST_OK;
    for (size_t i = 0; i < reading.n && status == ST_OK; i++) {
        const struct pending_read *read = &reading.reads[i];
        char key[TASK_KEY_SIZE];
        status = store_queue(dispatcher->options.store, err, "HGET %s %llu",
                             dispatcher_task_key(read->task->id, "done", key),
                             (unsigned long long)read->unit);
    }
    if (status == ST_OK && reading.n)
        status = store_drain(dispatcher->options.store, on_result, &reading, err);
    if (status == ST_OK) status = drop_refused(&reading, err);
    for (size_t i = 0; i < reading.n && status != ST_OK; i++) /* what is read twice is dropped by */
        push_read(dispatcher, &reading.reads[i]);             /* its state */
    return status;
}
