/* A sweep's results come from one kind of worker: the first one that leases a pinned task of it.
 * The kind is in the store, with the sweep, before that lease goes out, so that another life of
 * the coordinator goes on with the same kind. */
#include "coordinator/dispatch/dispatcher_state.h"

#include <stdio.h>
#include <string.h>

enum { SWEEP_KEY_SIZE = TASK_ID_SIZE + 32 };

status_t dispatcher_pin_sweep(struct dispatcher *dispatcher, const char *id,
                              struct fair_share *share, const struct worker_pin *pin,
                              struct error *err)
{
    char key[SWEEP_KEY_SIZE];
    (void)snprintf(key, sizeof key, "interp:sweep:%.*s", (int)strcspn(id, "/"), id);
    const struct leader_command command = {{"HSET", key, "backend", pin->backend, "isa", pin->isa}};
    const status_t status = leader_write(dispatcher->options.leader, &command, 1, err);
    if (status == ST_OK) share->pin = *pin;
    return status;
}

status_t dispatcher_pin_task(struct dispatcher *dispatcher, struct task *task,
                             const struct worker *worker, struct error *err)
{
    struct worker_pin pin = {.backend = ""};
    status_t status = ST_OK;
    if (!task->is_pinned) return ST_OK;
    (void)snprintf(pin.backend, sizeof pin.backend, "%s", worker->backend);
    (void)snprintf(pin.isa, sizeof pin.isa, "%s", worker->isa);
    if (!task->share->pin.backend[0])
        status = dispatcher_pin_sweep(dispatcher, task->id, task->share, &pin, err);
    if (status == ST_OK) task_pin(task, &(struct task_fit){worker->backend, worker->isa});
    return status;
}
