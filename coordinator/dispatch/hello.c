/* Workers introduce themselves; after a restart of ours, or a broken connection, with the leases
 * that they still have (HELD). What they are at goes on and counts; nobody else is given it. */
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

static bool read_names(const struct wire_message *hello, struct worker *worker)
{
    return wire_text_copy(hello->name, worker->name, sizeof worker->name) &&
           wire_text_copy(hello->host, worker->host, sizeof worker->host) &&
           wire_text_copy(hello->backend, worker->backend, sizeof worker->backend) &&
           wire_text_copy(hello->isa, worker->isa, sizeof worker->isa) &&
           wire_text_copy(hello->code_version, worker->code_version, sizeof worker->code_version) &&
           worker->name[0];
}

/* Where the end of its connection will be seen. A descriptor that the books still give to another
 * worker was used again before its end was told: what was told by now is read first. */
static void claim_descriptor(struct dispatcher *dispatcher, struct worker *worker, int fd)
{
    struct worker *previous = worker_table_find_fd(dispatcher->workers, fd);
    if (previous && previous != worker)
        dispatcher_lose_worker(dispatcher, previous, "connection closed", true);
    worker->fd = fd;
}

static void welcome(struct dispatcher *dispatcher, struct worker *worker)
{
    const struct wire_message answer = {
        .type = WIRE_WELCOME,
        .epoch = dispatcher->options.epoch,
        .heartbeat_ms = (uint64_t)dispatcher->options.heartbeat_ms,
        .store = wire_text_of(dispatcher->options.store_url),
    };
    (void)dispatcher_send(dispatcher, worker, &answer, NULL, 0);
}

status_t dispatcher_hello(struct dispatcher *dispatcher, struct transport_message *in,
                          struct worker **sender, struct error *err)
{
    struct worker *worker;
    dispatcher_read_monitor(dispatcher);
    status_t status = worker_table_add(dispatcher->workers, zmq_msg_data(&in->identity),
                                       zmq_msg_size(&in->identity), &worker, err);
    if (status != ST_OK) return status;
    if (!read_names(&in->wire, worker)) {
        dispatcher_lose_worker(dispatcher, worker, "said HELLO wrongly", false);
        return error_set(err, ST_PROTOCOL, "HELLO: a name is empty or too long");
    }
    worker->pid = in->wire.pid;
    worker->n_threads = in->wire.n_threads;
    worker->memory_bytes = in->wire.memory_bytes;
    worker->n_held_to_come = in->wire.n_held < WORKER_HELD_MAX ? in->wire.n_held : WORKER_HELD_MAX;
    worker->connected_unix_ms = clock_unix_ms(dispatcher->options.clock);
    worker->last_seen_ms = worker->ticks_moved_ms = dispatcher_now_ms(dispatcher);
    claim_descriptor(dispatcher, worker, in->fd);
    welcome(dispatcher, worker);
    *sender = worker;
    log_event(LOG_INFO, "worker_joined", LOG_TEXT("worker", worker->name),
              LOG_NUMBER("pid", worker->pid), LOG_TEXT("backend", worker->backend),
              LOG_TEXT("isa", worker->isa));
    return ST_OK;
}

/* --- HELD ---------------------------------------------------------------------------------- */

static bool is_known(struct dispatcher *dispatcher, const struct worker *worker, uint64_t lease)
{
    if (lease_table_find(dispatcher->leases, lease)) return true;
    for (size_t i = 0; i < worker->n_held; i++)
        if (worker->held[i].lease == lease) return true;
    return false;
}

/* Units that another worker was given meanwhile are run twice; the first result wins. */
static void adopt(struct dispatcher *dispatcher, struct worker *worker, struct task *task,
                  const struct worker_held *held)
{
    const struct task_fit fit = {worker->backend, worker->isa};
    if (held->high > unit_table_n_units(task->units) || !task_fits_worker(task, &fit) ||
        dispatcher_pin_task(dispatcher, task, worker, NULL) != ST_OK) {
        const struct wire_message revoke = {.type = WIRE_REVOKE, .lease = held->lease};
        (void)dispatcher_send(dispatcher, worker, &revoke, NULL, 0);
        return;
    }
    const struct lease wanted = {.id = held->lease,
                                 .task = task,
                                 .worker = worker,
                                 .low = (size_t)held->low,
                                 .high = (size_t)held->high,
                                 .n_open = (size_t)held->n_open,
                                 .granted_ms = dispatcher_now_ms(dispatcher)};
    if (!lease_table_adopt(dispatcher->leases, &wanted))
        return; /* its results count all the same */
    worker->n_leases++;
    for (size_t unit = wanted.low; unit < wanted.high; unit++)
        (void)unit_table_claim(task->units, unit);
    dispatcher->counts.n_leases_adopted++;
    log_event(LOG_INFO, "lease_adopted", LOG_TEXT("worker", worker->name),
              LOG_TEXT("task_id", task->id), LOG_NUMBER("low", wanted.low),
              LOG_NUMBER("high", wanted.high));
}

status_t dispatcher_held(struct dispatcher *dispatcher, struct worker *worker,
                         const struct wire_message *in, struct error *err)
{
    struct worker_held held = {in->lease, in->low, in->high, in->n_open, ""};
    worker->n_held_to_come -= worker->n_held_to_come > 0;
    if (!wire_text_copy(in->task, held.task, sizeof held.task) || in->low >= in->high ||
        in->n_open < 1 || in->n_open > in->high - in->low)
        return error_set(err, ST_PROTOCOL, "HELD: no lease looks like that");
    if (is_known(dispatcher, worker, in->lease)) return ST_OK;
    struct task *task = task_queue_find(dispatcher->queue, held.task);
    if (!task) { /* its sweep may come to it again */
        if (worker->n_held < WORKER_HELD_MAX) worker->held[worker->n_held++] = held;
        return ST_OK;
    }
    adopt(dispatcher, worker, task, &held);
    return dispatcher_open_and_load(dispatcher, task, err); /* what it told nobody */
}

static void adopt_of_worker(struct dispatcher *dispatcher, struct worker *worker, struct task *task)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < worker->n_held; i++) {
        const struct worker_held held = worker->held[i];
        if (strcmp(held.task, task->id) == 0)
            adopt(dispatcher, worker, task, &held);
        else
            worker->held[n_kept++] = held;
    }
    worker->n_held = n_kept;
}

void dispatcher_adopt_held(struct dispatcher *dispatcher, struct task *task)
{
    for (size_t i = 0; i < worker_table_count(dispatcher->workers); i++)
        adopt_of_worker(dispatcher, worker_table_at(dispatcher->workers, i), task);
}
