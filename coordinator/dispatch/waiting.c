/* What the work of a sweep waits for when no worker that is connected may have it. */
#include "coordinator/dispatch/dispatcher_state.h"

#include <stdio.h>
#include <string.h>

static bool has_ready_units(const struct task *task)
{
    return unit_table_count(task->units, UNIT_READY) > 0 && task->failure.status == ST_OK;
}

static bool some_worker_fits(struct dispatcher *dispatcher, const struct task *task)
{
    for (size_t i = 0; i < worker_table_count(dispatcher->workers); i++) {
        const struct worker *worker = worker_table_at(dispatcher->workers, i);
        const struct task_fit fit = {worker->backend, worker->isa};
        if (!worker->is_draining && task_fits_worker(task, &fit)) return true;
    }
    return false;
}

static void say_kind(const struct fair_share *share, size_t n_workers,
                     char out[DISPATCHER_WAITS_SIZE])
{
    const struct worker_pin *pin = &share->pin;
    if (n_workers == 0)
        (void)snprintf(out, DISPATCHER_WAITS_SIZE, "a worker: none is connected");
    else if (pin->backend[0])
        (void)snprintf(out, DISPATCHER_WAITS_SIZE,
                       "a worker on %s (%s), where it began: none of the %zu connected is one",
                       pin->backend, pin->isa, n_workers);
    else
        (void)snprintf(out, DISPATCHER_WAITS_SIZE,
                       "a worker on %s: none of the %zu connected is one",
                       share->backend ? share->backend : "any backend", n_workers);
}

bool dispatcher_waits_for(struct dispatcher *dispatcher, const struct fair_share *share,
                          char out[DISPATCHER_WAITS_SIZE])
{
    struct task *task;
    if (share->is_paused) return false;
    for (size_t i = 0; (task = task_queue_at(dispatcher->queue, i)); i++) {
        if (task->share != share || !has_ready_units(task)) continue;
        if (some_worker_fits(dispatcher, task)) continue;
        say_kind(share, worker_table_count(dispatcher->workers), out);
        return true;
    }
    return false;
}
