/* How work comes back: closed connections, silence, stuck run threads. */
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"
#include "common/socket_monitor.h"

#include <stdio.h>
#include <string.h>

enum {
    STUCK_MIN_MS = 2000,     /* DESIGN 7: no tick for max(2 s, 10 x the predicted time) */
    STUCK_FIRST_MS = 120000, /* before a task was measured: loading a model has no tick */
    STUCK_FACTOR = 10,
    IDLE_GRACE_MS = 5000 /* a lease is on its way for less than this */
};

static bool is_held_by_another(struct dispatcher *dispatcher, const struct lease *mine, size_t unit)
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
    dispatcher_close_lease(dispatcher, lease);
}

void dispatcher_close_lease(struct dispatcher *dispatcher, struct lease *lease)
{
    lease->worker->n_leases--;
    lease_table_end(dispatcher->leases, lease);
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
        if (lease->worker == worker && dispatcher_take_stored(dispatcher, lease, &problem) != ST_OK)
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

static void note_failed_handshake(struct dispatcher *dispatcher, const struct socket_event *event)
{
    uint64_t n_dropped;
    const char *why = event->value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
                          ? "one side has keys, the other has none"
                      : event->value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
                          ? "made for another server key"
                          : "broken off";
    if (event->kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || /* the doorkeeper said more */
        !log_budget_take(&dispatcher->failed_handshakes, dispatcher_now_ms(dispatcher), &n_dropped))
        return;
    log_event(LOG_WARN, "handshake_failed", LOG_TEXT("reason", why),
              LOG_NUMBER("failed_unlogged", n_dropped));
}

void dispatcher_read_monitor(struct dispatcher *dispatcher)
{
    struct socket_event event;
    while (socket_monitor_next(dispatcher->monitor, &event)) {
        if (event.kind != ZMQ_EVENT_DISCONNECTED) {
            note_failed_handshake(dispatcher, &event);
            continue;
        }
        struct worker *worker = worker_table_find_fd(dispatcher->workers, (int)event.value);
        if (worker) dispatcher_lose_worker(dispatcher, worker, "connection closed", true);
    }
}

static int64_t stuck_after_ms(const struct task *task)
{
    if (task->seconds_per_unit <= 0) return STUCK_FIRST_MS;
    const int64_t predicted_ms = (int64_t)(task->seconds_per_unit * 1000) * STUCK_FACTOR;
    return predicted_ms > STUCK_MIN_MS ? predicted_ms : STUCK_MIN_MS;
}

/* How long without a tick is too long. A worker's first lease of a task opens models first. */
static int64_t patience_ms(const struct worker *worker, const struct lease *lease)
{
    const bool is_opening = lease->opens_task && worker->ticks == worker->ticks_at_lease;
    return is_opening ? STUCK_FIRST_MS : stuck_after_ms(lease->task);
}

static bool is_stuck(const struct worker *worker, const struct lease *lease, int64_t now_ms)
{
    const int64_t still_since_ms =
        worker->ticks_moved_ms > lease->granted_ms ? worker->ticks_moved_ms : lease->granted_ms;
    return now_ms - still_since_ms >= patience_ms(worker, lease);
}

/* All its leases go: those that wait behind the stuck one would wait for ever. The store refuses
 * them first, then they are anybody's. */
static status_t revoke_all(struct dispatcher *dispatcher, struct worker *worker, struct error *err)
{
    struct store *store = dispatcher->options.store;
    struct lease *lease = NULL;
    status_t status = ST_OK;
    while (status == ST_OK && (lease = lease_table_next(dispatcher->leases, lease))) {
        char key[TASK_KEY_SIZE];
        if (lease->worker == worker)
            status = store_queue(store, err, "SADD %s %llu",
                                 dispatcher_task_key(lease->task->id, "revoked", key),
                                 (unsigned long long)lease->id);
    }
    if (status == ST_OK) status = store_drain(store, NULL, NULL, err);
    if (status != ST_OK) return status;
    for (lease = NULL; (lease = lease_table_next(dispatcher->leases, lease));) {
        if (lease->worker != worker) continue;
        const struct wire_message revoke = {.type = WIRE_REVOKE, .lease = lease->id};
        (void)dispatcher_send(dispatcher, worker, &revoke, NULL, 0);
        dispatcher_return_lease(dispatcher, lease);
        dispatcher->counts.n_leases_expired++;
    }
    return ST_OK;
}

static status_t expire_worker(struct dispatcher *dispatcher, struct worker *worker, int64_t now_ms,
                              struct error *err)
{
    const struct lease *lease = lease_table_find(dispatcher->leases, worker->running_lease);
    if (!lease || lease->worker != worker || !is_stuck(worker, lease, now_ms)) return ST_OK;
    const struct task *task = lease->task;
    const status_t status = revoke_all(dispatcher, worker, err);
    if (status != ST_OK) return status;
    worker->is_stuck = true;
    log_event(LOG_WARN, "worker_stuck", LOG_TEXT("worker", worker->name),
              LOG_TEXT("task_id", task->id), LOG_NUMBER("unit", worker->running_unit),
              LOG_NUMBER("still_ms", now_ms - worker->ticks_moved_ms));
    return ST_OK;
}

/* This process did not look for so long (a stopped machine, a store that hung) that silence means
 * nothing: what was said meanwhile may not be delivered yet. Everybody gets that time again. */
static void forgive(struct dispatcher *dispatcher, int64_t now_ms)
{
    const int64_t gap_ms = now_ms - dispatcher->last_expire_ms;
    const bool was_away =
        dispatcher->last_expire_ms && gap_ms > dispatcher->options.lost_after_ms / 2;
    dispatcher->last_expire_ms = now_ms;
    for (size_t i = 0; was_away && i < worker_table_count(dispatcher->workers); i++) {
        struct worker *worker = worker_table_at(dispatcher->workers, i);
        worker->last_seen_ms += gap_ms;
        worker->ticks_moved_ms += gap_ms;
    }
}

status_t dispatcher_expire(struct dispatcher *dispatcher, struct error *err)
{
    const int64_t now_ms = dispatcher_now_ms(dispatcher);
    forgive(dispatcher, now_ms);
    for (size_t i = worker_table_count(dispatcher->workers); i-- > 0;) {
        struct worker *worker = worker_table_at(dispatcher->workers, i);
        if (now_ms - worker->last_seen_ms > dispatcher->options.lost_after_ms)
            dispatcher_lose_worker(dispatcher, worker, "silent for too long", true);
    }
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < worker_table_count(dispatcher->workers); i++)
        status = expire_worker(dispatcher, worker_table_at(dispatcher->workers, i), now_ms, err);
    return status;
}
