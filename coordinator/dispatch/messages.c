/* What workers and clients say. One switch, each case one call; a message that breaks the rules
 * is answered with the reason and changes nothing. */
#include "coordinator/dispatch/access.h"
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGES_PER_STEP = 4096, ANSWER_MAX_BYTES = 128 * 1024 * 1024 };

static void refuse(struct dispatcher *dispatcher, struct transport_message *message,
                   status_t status, const char *why)
{
    dispatcher->counts.n_protocol_errors++;
    const struct transport_peer peer = {zmq_msg_data(&message->identity),
                                        zmq_msg_size(&message->identity)};
    const struct wire_message refusal = {
        .type = WIRE_REFUSED, .status = (uint64_t)status, .text = wire_text_of(why)};
    struct error ignored = {0};
    if (transport_send(dispatcher->router, &peer, &refusal, NULL, 0, &ignored) != ST_OK)
        log_event(LOG_WARN, "refusal_not_sent", LOG_TEXT("error", ignored.text));
    log_event(LOG_WARN, "peer_refused", LOG_TEXT("reason", why));
}

/* --- a worker's reports -------------------------------------------------------------------- */

static void handle_heartbeat(struct dispatcher *dispatcher, struct worker *worker,
                             const struct wire_message *beat)
{
    if (beat->ticks != worker->ticks || beat->lease != worker->running_lease ||
        beat->unit != worker->running_unit) {
        worker->ticks_moved_ms = dispatcher_now_ms(dispatcher);
        worker->is_stuck = false;
    }
    if (beat->lease != worker->running_lease) worker->ticks_at_lease = beat->ticks;
    worker->ticks = beat->ticks;
    worker->running_lease = beat->lease;
    worker->running_unit = beat->unit;
    worker->memory_bytes = beat->memory_bytes;
    if (beat->lease == 0) worker->n_held = 0;
    if (beat->lease == 0 && worker->n_leases) dispatcher_reclaim_from_idle(dispatcher, worker);
}

static struct task *find_task(struct dispatcher *dispatcher, struct wire_text id)
{
    char text[TASK_ID_SIZE];
    return wire_text_copy(id, text, sizeof text) ? task_queue_find(dispatcher->queue, text) : NULL;
}

static void close_lease_part(struct dispatcher *dispatcher, struct lease *lease, size_t n_units)
{
    lease->n_open -= n_units < lease->n_open ? n_units : lease->n_open;
    if (lease->n_open == 0) dispatcher_close_lease(dispatcher, lease);
}

/* The lease that `worker` speaks of, if it still has it, of that task; else NULL. */
static struct lease *find_lease(struct dispatcher *dispatcher, const struct worker *worker,
                                const struct task *task, uint64_t id)
{
    struct lease *lease = lease_table_find(dispatcher->leases, id);
    return lease && lease->worker == worker && lease->task == task ? lease : NULL;
}

static status_t settle_range(struct dispatcher *dispatcher, struct task *task, size_t low,
                             size_t high, struct error *err)
{
    status_t status = ST_OK;
    for (size_t unit = low; unit < high && status == ST_OK; unit++) {
        if (task->ops->result)
            status = dispatcher_queue_read(dispatcher, task, unit, err);
        else if (unit_table_settle(task->units, unit))
            dispatcher->counts.n_units_settled++;
    }
    return status;
}

/* Reports on what a worker brought along and no task is here for. */
static void close_held_part(struct worker *worker, uint64_t lease, uint64_t n_units)
{
    for (size_t i = 0; i < worker->n_held; i++) {
        struct worker_held *held = &worker->held[i];
        if (held->lease != lease) continue;
        held->n_open -= n_units < held->n_open ? n_units : held->n_open;
        if (held->n_open == 0) *held = worker->held[--worker->n_held];
        return;
    }
}

static uint64_t count_units(const struct wire_ranges *ranges)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ranges->n; i++)
        n += ranges->high[i] > ranges->low[i] ? ranges->high[i] - ranges->low[i] : 0;
    return n;
}

/* `worker` is NULL when we do not know the sender: it was given up as lost, or we restarted. Its
 * results are as good as any, and what came too late is counted. */
static status_t handle_settled(struct dispatcher *dispatcher, struct worker *worker,
                               const struct wire_message *in, struct error *err)
{
    dispatcher->counts.n_duplicates += in->n_duplicate;
    struct task *task = find_task(dispatcher, in->task);
    if (!task) { /* it ended meanwhile, or is not here yet: the store has the result */
        if (worker) close_held_part(worker, in->lease, count_units(&in->ranges));
        return ST_OK;
    }
    size_t n_units = 0;
    status_t status = ST_OK;
    for (size_t i = 0; i < in->ranges.n && status == ST_OK; i++) {
        const uint64_t low = in->ranges.low[i], high = in->ranges.high[i];
        if (low > high || high > unit_table_n_units(task->units))
            return error_set(err, ST_PROTOCOL, "SETTLED %s: units %llu to %llu do not exist",
                             task->id, (unsigned long long)low, (unsigned long long)high);
        status = settle_range(dispatcher, task, (size_t)low, (size_t)high, err);
        n_units += (size_t)(high - low);
    }
    if (!worker) return status;
    worker->n_settled += n_units;
    worker->busy_seconds += in->seconds;
    task_charge(task, in->seconds, n_units);
    struct lease *lease = find_lease(dispatcher, worker, task, in->lease);
    if (lease) close_lease_part(dispatcher, lease, n_units);
    return status;
}

/* The store refused the result because of its fence: nobody's failure. If the lease still counts
 * here, the store forgot that the task is open, and knows again by now. */
static void give_back(struct dispatcher *dispatcher, struct lease *lease, size_t unit)
{
    dispatcher_return_unit(dispatcher, lease, unit);
    close_lease_part(dispatcher, lease, 1);
}

static status_t handle_failed(struct dispatcher *dispatcher, struct worker *worker,
                              const struct wire_message *in, struct error *err)
{
    struct task *task = find_task(dispatcher, in->task);
    if (!task) {
        close_held_part(worker, in->lease, 1);
        return ST_OK;
    }
    if (in->unit >= unit_table_n_units(task->units))
        return error_set(err, ST_PROTOCOL, "FAILED %s: unit %llu does not exist", task->id,
                         (unsigned long long)in->unit);
    struct lease *lease = find_lease(dispatcher, worker, task, in->lease);
    if (!lease || in->unit < lease->low || in->unit >= lease->high)
        return ST_OK; /* it was taken away: whoever has the unit now will tell */
    if (in->status == ST_CONFLICT) {
        give_back(dispatcher, lease, (size_t)in->unit);
        return ST_OK;
    }
    char text[sizeof task->errors[0].text];
    (void)snprintf(text, sizeof text, "%.*s", (int)in->text.n_bytes, in->text.bytes);
    worker->n_failed++;
    const struct unit_failure failure = {(size_t)in->unit, (size_t)in->unit + 1, worker->name, text,
                                         UNIT_BLAME_ERROR};
    dispatcher_note_failure(dispatcher, task, &failure);
    close_lease_part(dispatcher, lease, 1);
    return ST_OK;
}

/* --- clients ------------------------------------------------------------------------------- */

static status_t answer_request(struct dispatcher *dispatcher, struct transport_message *in,
                               const char *operation, struct buffer *out, struct error *err)
{
    const struct dispatcher_options *options = &dispatcher->options;
    const struct wire_text args = {zmq_msg_data(&in->bulk), zmq_msg_size(&in->bulk)};
    const struct access access = access_of(in);
    const bool is_reading = options->is_reading && options->is_reading(operation);
    const status_t status = access_check_request(&access, operation, is_reading, err);
    if (status != ST_OK) return status;
    return options->on_request(options->request_context, operation, args, out, err);
}

static status_t handle_request(struct dispatcher *dispatcher, struct transport_message *in)
{
    const struct transport_peer peer = {zmq_msg_data(&in->identity), zmq_msg_size(&in->identity)};
    char operation[WIRE_MAX_NAME_BYTES];
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, ANSWER_MAX_BYTES);
    status_t status = wire_text_copy(in->wire.name, operation, sizeof operation)
                          ? answer_request(dispatcher, in, operation, &out, &err)
                          : error_set(&err, ST_PROTOCOL, "operation name too long");
    const struct wire_message answer = {
        .type = WIRE_ANSWER, .id = in->wire.id, .status = (uint64_t)status};
    const void *body = status == ST_OK ? (const void *)out.bytes : err.text;
    const size_t n_body = status == ST_OK ? out.n_bytes : strlen(err.text);
    struct error send_error = {0};
    if (transport_send(dispatcher->router, &peer, &answer, body ? body : "", n_body, &send_error) !=
        ST_OK)
        log_event(LOG_WARN, "answer_not_sent", LOG_TEXT("operation", operation),
                  LOG_TEXT("error", send_error.text));
    buffer_fini(&out);
    return ST_OK;
}

/* --- the one switch ------------------------------------------------------------------------ */

static status_t handle_worker_message(struct dispatcher *dispatcher, struct worker *worker,
                                      const struct wire_message *in, struct error *err)
{
    worker->last_seen_ms = dispatcher_now_ms(dispatcher);
    worker->is_clogged = false;
    switch (in->type) {
    case WIRE_HELLO: return ST_OK; /* entered already */
    case WIRE_HELD: return dispatcher_held(dispatcher, worker, in, err);
    case WIRE_HEARTBEAT: handle_heartbeat(dispatcher, worker, in); return ST_OK;
    case WIRE_SETTLED: return handle_settled(dispatcher, worker, in, err);
    case WIRE_FAILED: return handle_failed(dispatcher, worker, in, err);
    case WIRE_BYE: dispatcher_lose_worker(dispatcher, worker, "left", false); return ST_OK;
    case WIRE_WELCOME:
    case WIRE_REFUSED:
    case WIRE_SPEC:
    case WIRE_LEASE:
    case WIRE_REVOKE:
    case WIRE_DRAIN:
    case WIRE_REQUEST:
    case WIRE_ANSWER:
    case WIRE_N_TYPES: break;
    }
    return error_set(err, ST_PROTOCOL, "%s is not for a worker to send", wire_type_name(in->type));
}

static status_t handle(struct dispatcher *dispatcher, struct transport_message *in,
                       struct error *err)
{
    if (in->wire.type == WIRE_REQUEST) return handle_request(dispatcher, in);
    const struct access access = access_of(in);
    if (access_check_worker(&access, err) != ST_OK) return ST_CONFLICT;
    struct worker *worker = worker_table_find(dispatcher->workers, zmq_msg_data(&in->identity),
                                              zmq_msg_size(&in->identity));
    if (in->wire.type == WIRE_HELLO) {
        const status_t status = dispatcher_hello(dispatcher, in, &worker, err);
        if (status != ST_OK) return status;
    }
    if (!worker) { /* we restarted, or gave it up: it shall introduce itself */
        refuse(dispatcher, in, ST_NOT_FOUND, "unknown worker: say HELLO");
        return in->wire.type == WIRE_SETTLED ? handle_settled(dispatcher, NULL, &in->wire, err)
                                             : ST_OK;
    }
    return handle_worker_message(dispatcher, worker, &in->wire, err);
}

status_t dispatcher_receive_all(struct dispatcher *dispatcher, struct error *err)
{
    for (int i = 0; i < MESSAGES_PER_STEP; i++) {
        struct error problem = {0};
        status_t status =
            transport_receive(dispatcher->router, true, &dispatcher->incoming, &problem);
        if (status == ST_BUSY) return ST_OK;
        if (status == ST_OK) status = handle(dispatcher, &dispatcher->incoming, &problem);
        if (status == ST_NO_MEMORY || status == ST_UNREACHABLE)
            return error_set(err, status, "%s", problem.text);
        if (status != ST_OK) refuse(dispatcher, &dispatcher->incoming, status, problem.text);
    }
    return ST_OK;
}
