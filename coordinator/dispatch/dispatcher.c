#include "coordinator/dispatch/dispatcher_state.h"

#include "common/curve.h"
#include "common/endpoint.h"
#include "common/log.h"
#include "common/socket_monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char embed_coordinator_dispatch_keep_lua[];
extern const char embed_coordinator_dispatch_close_lua[];

enum {
    ROUTER_QUEUE_MESSAGES = 20000,
    MONITOR_EVENTS = ZMQ_EVENT_DISCONNECTED | SOCKET_HANDSHAKE_FAILED
};

static status_t set_option(void *socket, int option, int value, struct error *err)
{
    if (zmq_setsockopt(socket, option, &value, sizeof value) == 0) return ST_OK;
    return error_set(err, ST_INTERNAL, "socket option %d: %s", option, zmq_strerror(errno));
}

static status_t bind_endpoints(struct dispatcher *dispatcher, bool is_inside, struct error *err)
{
    const struct dispatcher_options *options = &dispatcher->options;
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && i < options->n_endpoints; i++)
        if (endpoint_is_inside(options->endpoints[i]) == is_inside &&
            zmq_bind(dispatcher->router, options->endpoints[i]) != 0)
            status = error_set(err, errno == EADDRINUSE ? ST_CONFLICT : ST_IO, "bind %s: %s",
                               options->endpoints[i], zmq_strerror(errno));
    return status;
}

/* One socket for all: security options are those of the binds that follow (zmq_setsockopt(3)). */
static status_t open_router(struct dispatcher *dispatcher, struct error *err)
{
    const struct dispatcher_options *options = &dispatcher->options;
    dispatcher->router = zmq_socket(options->zmq_context, ZMQ_ROUTER);
    if (!dispatcher->router)
        return error_set(err, ST_INTERNAL, "router socket: %s", zmq_strerror(errno));
    static const int settings[][2] = {
        {ZMQ_LINGER, 0},
        {ZMQ_ROUTER_MANDATORY, 1}, /* a send to a peer that left fails instead of vanishing */
        {ZMQ_SNDHWM, ROUTER_QUEUE_MESSAGES},
        {ZMQ_RCVHWM, ROUTER_QUEUE_MESSAGES},
    };
    status_t status = transport_limit_messages(dispatcher->router, err);
    for (size_t i = 0; status == ST_OK && i < sizeof settings / sizeof settings[0]; i++)
        status = set_option(dispatcher->router, settings[i][0], settings[i][1], err);
    if (status == ST_OK) status = bind_endpoints(dispatcher, true, err);
    if (status == ST_OK && options->key)
        status = curve_binds_as(dispatcher->router, options->key, err);
    if (status == ST_OK) status = bind_endpoints(dispatcher, false, err);
    return status;
}

status_t dispatcher_create(struct dispatcher **out, const struct dispatcher_options *options,
                           struct error *err)
{
    struct dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
    if (!dispatcher) return error_set(err, ST_NO_MEMORY, "dispatcher");
    dispatcher->options = *options;
    transport_message_init(&dispatcher->incoming);
    dispatcher->keep = leader_script("keep", embed_coordinator_dispatch_keep_lua);
    dispatcher->close = leader_script("close", embed_coordinator_dispatch_close_lua);
    status_t status = store_register_script(options->store, &dispatcher->keep, err);
    if (status == ST_OK) status = store_register_script(options->store, &dispatcher->close, err);
    if (status == ST_OK) status = worker_table_create(&dispatcher->workers, err);
    if (status == ST_OK) status = lease_table_create(&dispatcher->leases, options->epoch, err);
    if (status == ST_OK) status = task_queue_create(&dispatcher->queue, err);
    if (status == ST_OK) status = open_router(dispatcher, err);
    if (status == ST_OK)
        status = socket_monitor_open(&dispatcher->monitor, options->zmq_context, dispatcher->router,
                                     "inproc://router-monitor", MONITOR_EVENTS, err);
    if (status != ST_OK) {
        dispatcher_destroy(&dispatcher);
        return status;
    }
    *out = dispatcher;
    return ST_OK;
}

void dispatcher_close(struct dispatcher *dispatcher)
{
    if (dispatcher->monitor) (void)zmq_close(dispatcher->monitor);
    if (dispatcher->router) (void)zmq_close(dispatcher->router);
    dispatcher->monitor = dispatcher->router = NULL;
}

void dispatcher_destroy(struct dispatcher **dispatcher)
{
    struct dispatcher *self = *dispatcher;
    if (!self) return;
    dispatcher_close(self);
    transport_message_fini(&self->incoming);
    task_queue_destroy(&self->queue);
    lease_table_destroy(&self->leases);
    worker_table_destroy(&self->workers);
    dead_units_fini(&self->dead);
    free(self->reads);
    free(self);
    *dispatcher = NULL;
}

int64_t dispatcher_now_ms(const struct dispatcher *dispatcher)
{
    return clock_monotonic_ms(dispatcher->options.clock);
}

/* A message that cannot be delivered is dropped: the peer is gone, and the monitor will say so, or
 * it does not read. It gets no lease until it is heard of again, so the log is not flooded. */
bool dispatcher_send(struct dispatcher *dispatcher, struct worker *worker,
                     const struct wire_message *message, const void *bulk, size_t n_bulk)
{
    const struct transport_peer peer = {worker->identity, worker->n_identity};
    struct error err = {0};
    if (!dispatcher->router) return false;
    if (transport_send(dispatcher->router, &peer, message, bulk, n_bulk, &err) == ST_OK)
        return true;
    if (!worker->is_clogged)
        log_event(LOG_WARN, "send_failed", LOG_TEXT("worker", worker->name),
                  LOG_TEXT("error", err.text));
    worker->is_clogged = true;
    return false;
}

static status_t open_task(struct dispatcher *dispatcher, const struct task *task, struct error *err)
{
    char key[TASK_KEY_SIZE];
    const struct leader_command command = {
        {"SET", dispatcher_task_key(task->id, "open", key), "1", "NX"}};
    return leader_write(dispatcher->options.leader, &command, 1, err);
}

/* A store that came back may have lost what it was told last (appendfsync everysec). */
status_t dispatcher_reopen_tasks(struct dispatcher *dispatcher, struct error *err)
{
    const uint64_t n_connections = store_n_connections(dispatcher->options.store);
    if (n_connections == dispatcher->n_connections) return ST_OK;
    struct task *task;
    status_t status = ST_OK;
    for (size_t i = 0; status == ST_OK && (task = task_queue_at(dispatcher->queue, i)); i++)
        status = open_task(dispatcher, task, err);
    if (status == ST_OK) dispatcher->n_connections = n_connections;
    return status;
}

status_t dispatcher_add_task(struct dispatcher *dispatcher, struct task *task, struct error *err)
{
    if (!task->keeps_dead)
        dead_units_clear(&dispatcher->dead, task); /* an earlier life's: they are tried again */
    status_t status = task->is_new ? ST_OK : dispatcher_open_and_load(dispatcher, task, err);
    if (status == ST_OK) status = task_queue_add(dispatcher->queue, task, err);
    if (status == ST_OK)
        dispatcher_adopt_held(dispatcher, task);
    else
        dispatcher_forget_reads(dispatcher, task); /* the caller may free it now */
    return status;
}

void dispatcher_forget_task(struct dispatcher *dispatcher, struct task *task)
{
    struct lease *lease = NULL;
    while ((lease = lease_table_next(dispatcher->leases, lease)))
        if (lease->task == task) {
            const struct wire_message revoke = {.type = WIRE_REVOKE, .lease = lease->id};
            dispatcher_send(dispatcher, lease->worker, &revoke, NULL, 0);
            dispatcher_close_lease(dispatcher, lease);
        }
    task_queue_remove(dispatcher->queue, task);
    dispatcher_forget_reads(dispatcher, task);
}

/* With keeps_dead, what the sweep lists as dead stays. */
static status_t forget_keys(struct dispatcher *dispatcher, const char *task_id, bool keeps_dead,
                            const char *why, struct error *err)
{
    static const char told_seconds[] = "600"; /* longer than a unit that runs on may take */
    struct leader_fence fence;
    char keys[4][TASK_KEY_SIZE], dead_key[DEAD_KEY_SIZE];
    char since[CLOCK_RFC3339_SIZE], text[256];
    leader_fence(dispatcher->options.leader, &fence);
    (void)snprintf(text, sizeof text, "%.120s, since %s (coordinator of epoch %llu)", why,
                   clock_format_rfc3339(clock_unix_ms(dispatcher->options.clock), since),
                   (unsigned long long)dispatcher->options.epoch);
    const char *const args[] = {dispatcher_task_key(task_id, "open", keys[0]),
                                dispatcher_task_key(task_id, "done", keys[1]),
                                dispatcher_task_key(task_id, "revoked", keys[2]),
                                dispatcher_task_key(task_id, "closed", keys[3]),
                                keeps_dead ? "" : dead_units_key(task_id, dead_key),
                                fence.keys[0],
                                fence.keys[1],
                                fence.args[0],
                                fence.args[1],
                                text,
                                told_seconds};
    return store_run_script(dispatcher->options.store, NULL, &dispatcher->close, 7,
                            sizeof args / sizeof args[0], args, NULL, err);
}

status_t dispatcher_forget_keys(struct dispatcher *dispatcher, const char *task_id, const char *why,
                                struct error *err)
{
    return forget_keys(dispatcher, task_id, false, why, err);
}

status_t dispatcher_end_task(struct dispatcher *dispatcher, struct task *task, struct error *err)
{
    const bool is_complete = unit_table_is_complete(task->units);
    dispatcher_forget_task(dispatcher, task);
    return forget_keys(dispatcher, task->id, task->keeps_dead,
                       is_complete ? "every unit has its result" : "its sweep gave it up", err);
}

static status_t wait_for_messages(struct dispatcher *dispatcher, int timeout_ms, int wake_fd,
                                  struct error *err)
{
    zmq_pollitem_t items[] = {
        {.socket = dispatcher->router, .events = ZMQ_POLLIN},
        {.socket = dispatcher->monitor, .events = ZMQ_POLLIN},
        {.fd = wake_fd, .events = ZMQ_POLLIN},
    };
    if (zmq_poll(items, wake_fd >= 0 ? 3 : 2, timeout_ms) < 0 && errno != EINTR)
        return error_set(err, ST_INTERNAL, "poll: %s", zmq_strerror(errno));
    dispatcher_read_monitor(dispatcher);
    return ST_OK;
}

void dispatcher_listen(struct dispatcher *dispatcher, int timeout_ms)
{
    struct error ignored = {0};
    if (wait_for_messages(dispatcher, timeout_ms, -1, &ignored) == ST_OK)
        (void)!dispatcher_receive_all(dispatcher, &ignored);
}

status_t dispatcher_step(struct dispatcher *dispatcher, int timeout_ms, int wake_fd,
                         struct error *err)
{
    status_t status = wait_for_messages(
        dispatcher, dispatcher_has_reads(dispatcher) ? 0 : timeout_ms, wake_fd, err);
    if (status == ST_OK) status = dispatcher_reopen_tasks(dispatcher, err);
    if (status == ST_OK) status = dispatcher_receive_all(dispatcher, err);
    if (status == ST_OK) status = dispatcher_read_results(dispatcher, err);
    if (status == ST_OK) status = dispatcher_expire(dispatcher, err);
    if (status == ST_OK)
        status = dead_units_write(&dispatcher->dead, dispatcher->options.store, err);
    if (status == ST_OK) status = dispatcher_grant_all(dispatcher, err);
    return status;
}

status_t dispatcher_grant(struct dispatcher *dispatcher, struct error *err)
{
    return dispatcher_grant_all(dispatcher, err);
}

size_t dispatcher_retry_dead(struct dispatcher *dispatcher, struct task *task)
{
    const size_t n_retried = unit_table_retry_dead(task->units);
    if (n_retried) dead_units_clear(&dispatcher->dead, task);
    return n_retried;
}

status_t dispatcher_drain_worker(struct dispatcher *dispatcher, const char *name, struct error *err)
{
    struct worker *worker = worker_table_find_name(dispatcher->workers, name);
    if (!worker) return error_set(err, ST_NOT_FOUND, "no worker \"%s\"", name);
    worker->is_draining = true;
    const struct wire_message drain = {.type = WIRE_DRAIN};
    dispatcher_send(dispatcher, worker, &drain, NULL, 0);
    return ST_OK;
}

struct worker_table *dispatcher_workers(struct dispatcher *dispatcher)
{
    return dispatcher->workers;
}

struct task_queue *dispatcher_queue(struct dispatcher *dispatcher)
{
    return dispatcher->queue;
}

struct lease_table *dispatcher_leases(struct dispatcher *dispatcher)
{
    return dispatcher->leases;
}

const struct dispatcher_counts *dispatcher_counts(const struct dispatcher *dispatcher)
{
    return &dispatcher->counts;
}
