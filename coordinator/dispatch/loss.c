/* How work comes back: closed connections, silence, stuck run threads. */
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

enum {
    STUCK_MIN_MS = 2000,      /* DESIGN 7: no tick for max(2 s, 10 x the predicted time) */
    STUCK_FIRST_MS = 120000,  /* before a task was measured: loading a model has no tick */
    STUCK_FACTOR = 10,
    IDLE_GRACE_MS = 5000      /* a lease is on its way for less than this */
};

static bool is_held_by_another(struct dispatcher *dispatcher, const struct lease *mine,
                               size_t unit)
{
    struct lease *other = NULL;
    while ((other = lease_table_next(dispatcher->leases, other)))
        if (other != mine && other->task == mine->task && unit >= other->low && unit < other->high)
            return true;
    return false;
}

void dispatcher_return_unit(struct dispatcher *dispatcher, const struct lease *mine, size_t unit)
{
    if (unit_table_state(mine->task->units, unit) == UNIT_LEASED &&
        !is_held_by_another(dispatcher, mine, unit))
        unit_table_return(mine->task->units, unit);
}

void dispatcher_return_lease(struct dispatcher *dispatcher, struct lease *lease)
{
    for (size_t unit = lease->low; unit < lease->high; unit++)
        dispatcher_return_unit(dispatcher, lease, unit);
    lease->worker->n_leases--;
    lease_table_end(dispatcher->leases, lease);
}

status_t dispatcher_revoke_lease(struct dispatcher *dispatcher, struct lease *lease,
                                 struct error *err)
{
    char key[TASK_KEY_SIZE];
    const status_t status =
        store_run(dispatcher->options.store, NULL, err, "SADD %s %llu",
                  dispatcher_task_key(lease->task->id, "revoked", key), (unsigned long long)lease->id);
    if (status != ST_OK) return status;
    const struct wire_message revoke = {.type = WIRE_REVOKE, .lease = lease->id};
    dispatcher_send(dispatcher, lease->worker, &revoke, NULL, 0);
    dispatcher_return_lease(dispatcher, lease);
    return ST_OK;
}

/* A worker runs its leases in the order of their ids, one per run thread. */
static size_t n_older_leases(struct dispatcher *dispatcher, const struct lease *mine)
{
    size_t n = 0;
    struct lease *other = NULL;
    while ((other = lease_table_next(dispatcher->leases, other)))
        n += other->worker == mine->worker && other->id < mine->id && other->low < other->high;
    return n;
}

/* Results may be in the store whose report was never sent. False if the store cannot say. */
static bool take_stored(struct dispatcher *dispatcher, const struct worker *worker)
{
    struct lease *lease = NULL;
    while ((lease = lease_table_next(dispatcher->leases, lease))) {
        struct error problem = {0};
        if (lease->worker == worker &&
            dispatcher_take_stored(dispatcher, lease, &problem) != ST_OK)
            return false;
    }
    return true;
}

/* What may have been running when the worker died shares the blame: from the last unit that it
 * told of to the end of the lease. Leases that waited behind are not blamed. */
static void blame_running_units(struct dispatcher *dispatcher, const struct worker *worker,
                                struct lease *lease, const char *why)
{
    const size_t n_threads = worker->n_threads ? (size_t)worker->n_threads : 1;
    if (lease->low == lease->high || n_older_leases(dispatcher, lease) >= n_threads) return;
    const bool is_known = worker->running_lease == lease->id &&
                          worker->running_unit >= lease->low && worker->running_unit < lease->high;
    char text[128];
    (void)snprintf(text, sizeof text, "the worker died while it ran this unit%s: %s",
                   lease->high - lease->low > 1 ? " or another of its lease" : "", why);
    const struct unit_failure failure = {
        .low = is_known && n_threads == 1 ? (size_t)worker->running_unit : lease->low,
        .high = lease->high,
        .worker = worker->name,
        .text = text,
        .blame = UNIT_BLAME_DEATH,
    };
    dispatcher_note_failure(dispatcher, lease->task, &failure);
}

void dispatcher_lose_worker(struct dispatcher *dispatcher, struct worker *worker, const char *why,
                            bool is_blamed)
{
    size_t n_leases = 0;
    const bool is_store_read = take_stored(dispatcher, worker);
    struct lease *lease = NULL;
    while (is_blamed && is_store_read && (lease = lease_table_next(dispatcher->leases, lease)))
        if (lease->worker == worker) blame_running_units(dispatcher, worker, lease, why);
    lease = NULL;
    while ((lease = lease_table_next(dispatcher->leases, lease))) {
        if (lease->worker != worker) continue;
        dispatcher_return_lease(dispatcher, lease);
        n_leases++;
    }
    if (is_blamed) dispatcher->counts.n_workers_lost++;
    log_event(is_blamed ? LOG_WARN : LOG_INFO, is_blamed ? "worker_lost" : "worker_left",
              LOG_TEXT("worker", worker->name), LOG_NUMBER("pid", worker->pid),
              LOG_TEXT("reason", why), LOG_NUMBER("leases_returned", n_leases));
    worker_table_remove(dispatcher->workers, worker);
}

void dispatcher_reclaim_from_idle(struct dispatcher *dispatcher, struct worker *worker)
{
    const int64_t now_ms = dispatcher_now_ms(dispatcher);
    struct lease *lease = NULL;
    while (worker->n_leases && (lease = lease_table_next(dispatcher->leases, lease))) {
        if (lease->worker != worker || now_ms - lease->granted_ms < IDLE_GRACE_MS) continue;
        log_event(LOG_WARN, "lease_reclaimed", LOG_TEXT("worker", worker->name),
                  LOG_TEXT("task_id", lease->task->id), LOG_NUMBER("low", lease->low),
                  LOG_NUMBER("high", lease->high));
        dispatcher->counts.n_leases_expired++;
        dispatcher_return_lease(dispatcher, lease);
    }
}

/* Monitor events are two frames: u16 event, u32 value (the descriptor); then the address. */
static bool read_event(void *monitor, int *fd)
{
    unsigned char frame[64];
    const int n = zmq_recv(monitor, frame, sizeof frame, ZMQ_DONTWAIT);
    if (n < 0) return false;
    int more = 0;
    size_t size = sizeof more;
    *fd = -1;
    uint32_t value;
    if (n >= 6) {
        memcpy(&value, frame + 2, sizeof value);
        *fd = (int)value;
    }
    if (zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &size) == 0 && more)
        (void)zmq_recv(monitor, frame, sizeof frame, 0);
    return true;
}

void dispatcher_read_monitor(struct dispatcher *dispatcher)
{
    int fd;
    while (read_event(dispatcher->monitor, &fd)) {
        if (fd < 0) continue;
        if (fd < DISPATCH_FD_MAX && dispatcher->stale_disconnects[fd]) {
            dispatcher->stale_disconnects[fd]--;
            continue;
        }
        struct worker *worker = worker_table_find_fd(dispatcher->workers, fd);
        if (worker) dispatcher_lose_worker(dispatcher, worker, "connection closed", true);
    }
}

static int64_t stuck_after_ms(const struct task *task)
{
    if (task->seconds_per_unit <= 0) return STUCK_FIRST_MS;
    const int64_t predicted_ms = (int64_t)(task->seconds_per_unit * 1000) * STUCK_FACTOR;
    return predicted_ms > STUCK_MIN_MS ? predicted_ms : STUCK_MIN_MS;
}

static status_t expire_lease(struct dispatcher *dispatcher, struct lease *lease, int64_t now_ms,
                             struct error *err)
{
    struct worker *worker = lease->worker;
    if (worker->running_lease != lease->id) return ST_OK; /* waits behind another */
    const int64_t still_since_ms =
        worker->ticks_moved_ms > lease->granted_ms ? worker->ticks_moved_ms : lease->granted_ms;
    if (now_ms - still_since_ms < stuck_after_ms(lease->task)) return ST_OK;
    log_event(LOG_WARN, "worker_stuck", LOG_TEXT("worker", worker->name),
              LOG_TEXT("task_id", lease->task->id), LOG_NUMBER("unit", worker->running_unit),
              LOG_NUMBER("still_ms", now_ms - still_since_ms));
    worker->is_stuck = true;
    dispatcher->counts.n_leases_expired++;
    return dispatcher_revoke_lease(dispatcher, lease, err);
}

status_t dispatcher_expire(struct dispatcher *dispatcher, struct error *err)
{
    const int64_t now_ms = dispatcher_now_ms(dispatcher);
    for (size_t i = worker_table_count(dispatcher->workers); i-- > 0;) {
        struct worker *worker = worker_table_at(dispatcher->workers, i);
        if (now_ms - worker->last_seen_ms > dispatcher->options.lost_after_ms)
            dispatcher_lose_worker(dispatcher, worker, "silent for too long", true);
    }
    status_t status = ST_OK;
    struct lease *lease = NULL;
    while (status == ST_OK && (lease = lease_table_next(dispatcher->leases, lease)))
        status = expire_lease(dispatcher, lease, now_ms, err);
    return status;
}
