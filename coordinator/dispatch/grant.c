/* Who gets what next.
 *
 * A worker holds at most one lease per run thread plus one in reserve, so that it never waits
 * for the wire. A lease holds about lease_seconds of work by the task's measured speed, at
 * most LEASE_MAX_BYTES of payload, and near the end of a task no more than a fair part of what
 * is left. When nothing is ready and a worker is idle, the slowest lease's second half is given
 * out once more: the first result wins, and settle.lua makes that safe. */
#include "coordinator/dispatch/dispatcher_state.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LEASE_MAX_BYTES = 32 * 1024 * 1024,
    FIRST_LEASE_UNITS = 1,
    SPECULATE_AFTER_MS = 1000,
    SPECULATE_FACTOR = 2 /* late by this many times the prediction */
};

/* With what it brought along and nobody here has asked for yet. */
static size_t n_outstanding(const struct worker *worker)
{
    return worker->n_leases + worker->n_held;
}

static bool may_have_more(const struct worker *worker)
{
    const size_t limit = (size_t)(worker->n_threads ? worker->n_threads : 1) + 1;
    return !worker->is_draining && !worker->is_stuck && !worker->is_clogged &&
           worker->n_held_to_come == 0 && n_outstanding(worker) < limit;
}

static size_t lease_units(const struct dispatcher *dispatcher, const struct task *task)
{
    const size_t n_ready = unit_table_count(task->units, UNIT_READY);
    const size_t n_workers = worker_table_count(dispatcher->workers);
    if (task->seconds_per_unit <= 0 && task->kind != TASK_NOOP) return FIRST_LEASE_UNITS;
    const double by_time = task->seconds_per_unit > 0
                               ? dispatcher->options.lease_seconds / task->seconds_per_unit
                               : (double)task->max_units_per_lease;
    size_t n =
        by_time < (double)task->max_units_per_lease ? (size_t)by_time : task->max_units_per_lease;
    const size_t fair_part = (n_ready + 2 * n_workers - 1) / (2 * (n_workers ? n_workers : 1));
    if (n > fair_part) n = fair_part;
    return n ? n : 1;
}

static bool send_spec(struct dispatcher *dispatcher, struct worker *worker, const struct task *task)
{
    if (worker_has_spec(worker, task->id)) return true;
    const struct wire_message spec = {.type = WIRE_SPEC, .task = wire_text_of(task->id)};
    const struct wire_text json = wire_text_of(task->spec_json);
    if (!dispatcher_send(dispatcher, worker, &spec, json.bytes, json.n_bytes)) return false;
    worker_note_spec(worker, task->id);
    return true;
}

/* Build part 0 (shared) and one part per unit. On ST_OK *n_fit units fit under the byte cap. */
static status_t build_bulk(struct task *task, size_t low, size_t high, struct buffer *bulk,
                           size_t *n_fit, struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, (size_t)4 * LEASE_MAX_BYTES);
    const size_t n = high - low;
    size_t *ends = malloc((n + 1) * sizeof *ends);
    struct wire_text *parts = malloc((n + 1) * sizeof *parts);
    status_t status = ends && parts ? ST_OK : error_set(err, ST_NO_MEMORY, "lease of %zu", n);
    if (status == ST_OK && task->ops->shared) status = task->ops->shared(task, &bytes, err);
    size_t n_parts = 0;
    if (status == ST_OK) ends[n_parts++] = bytes.n_bytes;
    while (status == ST_OK && task->ops->payload && n_parts <= n &&
           (n_parts == 1 || bytes.n_bytes < LEASE_MAX_BYTES)) {
        status = task->ops->payload(task, low + n_parts - 1, &bytes, err);
        ends[n_parts++] = bytes.n_bytes;
    }
    for (size_t i = 0, start = 0; status == ST_OK && i < n_parts; start = ends[i++])
        parts[i] = (struct wire_text){(const char *)bytes.bytes + start, ends[i] - start};
    if (status == ST_OK) status = wire_parts_encode(parts, n_parts, bulk, err);
    *n_fit = task->ops->payload ? n_parts - 1 : n;
    free(ends);
    free(parts);
    buffer_fini(&bytes);
    return status;
}

static status_t send_lease(struct dispatcher *dispatcher, const struct lease *wanted,
                           struct error *err)
{
    struct task *task = wanted->task;
    struct lease *lease;
    size_t n_fit = 0;
    struct buffer bulk;
    buffer_init(&bulk, WIRE_MAX_BULK_BYTES);
    status_t status = build_bulk(task, wanted->low, wanted->high, &bulk, &n_fit, err);
    if (status == ST_OK) status = lease_table_grant(dispatcher->leases, wanted, &lease, err);
    if (status != ST_OK) goto done;
    lease->high = lease->low + n_fit;
    lease->n_open = n_fit;
    if (!lease->is_speculative)
        for (size_t unit = lease->high; unit < wanted->high; unit++)
            unit_table_return(task->units, unit); /* did not fit */
    lease->opens_task = !worker_has_spec(lease->worker, task->id);
    lease->worker->n_leases++;
    const struct wire_message message = {.type = WIRE_LEASE,
                                         .lease = lease->id,
                                         .epoch = dispatcher->options.epoch,
                                         .task = wire_text_of(task->id),
                                         .low = lease->low,
                                         .high = lease->high};
    if (!send_spec(dispatcher, lease->worker, task) ||
        !dispatcher_send(dispatcher, lease->worker, &message, bulk.bytes, bulk.n_bytes)) {
        dispatcher_return_lease(dispatcher, lease);
        status = ST_BUSY; /* its end or its silence will be noticed; the units wait for another */
        goto done;
    }
    dispatcher->counts.n_leases_granted++;
done:
    buffer_fini(&bulk);
    return status;
}

/* What cannot be made for one unit is the coordinator's own trouble and would fail again at every
 * step: it ends the task, whose engine says so. */
static status_t end_task_if_broken(struct task *task, status_t status, const struct error *why,
                                   struct error *err)
{
    if (status == ST_OK || status == ST_BUSY) return status;
    if (status == ST_NO_MEMORY || status == ST_UNREACHABLE)
        return error_set(err, status, "%s", why->text);
    log_event(LOG_ERROR, "task_broken", LOG_TEXT("task_id", task->id),
              LOG_TEXT("error", why->text));
    task->failure = *why;
    task->failure.status = status;
    return ST_OK;
}

static bool grant_ready(struct dispatcher *dispatcher, struct worker *worker, status_t *status,
                        struct error *err)
{
    const struct task_fit fit = {worker->backend, worker->isa};
    struct task *task = task_queue_next(dispatcher->queue, &fit);
    size_t low, high;
    if (!task) return false;
    *status = dispatcher_pin_task(dispatcher, task, worker, err);
    if (*status != ST_OK ||
        !unit_table_take(task->units, lease_units(dispatcher, task), &low, &high))
        return false;
    const struct lease wanted = {.task = task,
                                 .worker = worker,
                                 .low = low,
                                 .high = high,
                                 .granted_ms = dispatcher_now_ms(dispatcher)};
    struct error problem = {0};
    const status_t sent = send_lease(dispatcher, &wanted, &problem);
    for (size_t unit = low; sent != ST_OK && unit < high; unit++)
        unit_table_return(task->units, unit);
    *status = end_task_if_broken(task, sent, &problem, err);
    if (sent == ST_BUSY && worker->is_clogged) *status = ST_OK; /* others can have them */
    return sent == ST_OK || task->failure.status != ST_OK;
}

static bool is_late(const struct dispatcher *dispatcher, const struct lease *lease)
{
    const int64_t age_ms = dispatcher_now_ms(dispatcher) - lease->granted_ms;
    const double predicted_ms =
        lease->task->seconds_per_unit * 1000 * (double)(lease->high - lease->low);
    return age_ms > SPECULATE_AFTER_MS && (double)age_ms > SPECULATE_FACTOR * predicted_ms &&
           predicted_ms > 0;
}

/* The upper half of what this lease has not settled, as a range; false if nothing. */
static bool open_tail(const struct lease *lease, size_t *low)
{
    size_t n_open = 0;
    for (size_t unit = lease->low; unit < lease->high; unit++)
        n_open += unit_table_state(lease->task->units, unit) == UNIT_LEASED;
    if (n_open == 0) return false;
    size_t skip = n_open / 2;
    for (size_t unit = lease->low; unit < lease->high; unit++) {
        if (unit_table_state(lease->task->units, unit) != UNIT_LEASED) continue;
        if (skip-- == 0) {
            *low = unit;
            return true;
        }
    }
    return false;
}

static bool has_copy(struct dispatcher *dispatcher, const struct lease *original)
{
    struct lease *other = NULL;
    while ((other = lease_table_next(dispatcher->leases, other)))
        if (other != original && other->task == original->task && other->low < original->high &&
            other->high > original->low)
            return true;
    return false;
}

static status_t speculate(struct dispatcher *dispatcher, struct worker *worker, struct error *err)
{
    const struct task_fit fit = {worker->backend, worker->isa};
    struct lease *lease = NULL;
    size_t low;
    while ((lease = lease_table_next(dispatcher->leases, lease))) {
        if (lease->worker == worker || lease->is_speculative || !task_fits(lease->task, &fit) ||
            !is_late(dispatcher, lease) || has_copy(dispatcher, lease) || !open_tail(lease, &low))
            continue;
        const struct lease copy = {.task = lease->task,
                                   .worker = worker,
                                   .low = low,
                                   .high = lease->high,
                                   .granted_ms = dispatcher_now_ms(dispatcher),
                                   .is_speculative = true};
        struct error problem = {0};
        const status_t sent = send_lease(dispatcher, &copy, &problem);
        if (sent != ST_OK) return end_task_if_broken(copy.task, sent, &problem, err);
        dispatcher->counts.n_speculative++;
        log_event(LOG_INFO, "lease_copied", LOG_TEXT("task_id", lease->task->id),
                  LOG_TEXT("from", lease->worker->name), LOG_TEXT("to", worker->name),
                  LOG_NUMBER("low", low), LOG_NUMBER("high", lease->high));
        return ST_OK;
    }
    return ST_OK;
}

/* One lease each per round, so that a short queue is spread and not swallowed by the first. */
status_t dispatcher_grant_all(struct dispatcher *dispatcher, struct error *err)
{
    status_t status = ST_OK;
    bool granted_any = true;
    while (granted_any && status == ST_OK) {
        granted_any = false;
        for (size_t i = 0; i < worker_table_count(dispatcher->workers) && status == ST_OK; i++) {
            struct worker *worker = worker_table_at(dispatcher->workers, i);
            if (!may_have_more(worker)) continue;
            const bool granted = grant_ready(dispatcher, worker, &status, err);
            granted_any = granted_any || granted;
            if (!granted && status == ST_OK && !worker->is_clogged && n_outstanding(worker) == 0)
                status = speculate(dispatcher, worker, err);
        }
    }
    return status == ST_BUSY ? ST_OK : status;
}
