#include "coordinator/sweep/sweep_task.h"

#include <stdio.h>

void sweep_task_id(const struct sweep *sweep, const char *phase, char out[TASK_ID_SIZE])
{
    (void)snprintf(out, TASK_ID_SIZE, "%s/%s", sweep->id, phase);
}

status_t sweep_task_begin(struct sweep_task *work, const struct sweep_task_params *params,
                          struct error *err)
{
    char id[TASK_ID_SIZE];
    sweep_task_id(work->sweep, params->phase, id);
    const struct task_params task = {.id = id,
                                     .kind = params->kind,
                                     .n_units = params->n_units,
                                     .spec_json = params->spec_json,
                                     .ops = params->ops,
                                     .owner = params->owner,
                                     .share = &work->sweep->share,
                                     .is_pinned = params->is_pinned,
                                     .is_new = params->is_new,
                                     .max_units_per_lease = params->max_units_per_lease};
    work->is_added = false;
    return task_create(&work->task, &task, err);
}

static status_t add_task(struct sweep_task *work, struct error *err)
{
    if (work->is_added) return ST_OK;
    const status_t status = dispatcher_add_task(work->sweep->context->dispatcher, work->task, err);
    work->is_added = status == ST_OK;
    return status;
}

/* What stopped the unit that is dead, in its own words. */
static const char *last_error(const struct task *task)
{
    if (task->n_errors == 0) return "no error was kept";
    const size_t kept = task->n_errors < TASK_ERRORS_KEPT ? task->n_errors : TASK_ERRORS_KEPT;
    return task->errors[kept - 1].text;
}

status_t sweep_task_poll(struct sweep_task *work, bool *is_over, struct error *err)
{
    const struct task *task = work->task;
    *is_over = false;
    const status_t status = add_task(work, err);
    if (status != ST_OK) return status;
    if (task->failure.status != ST_OK)
        return error_set(err, ST_INTERNAL, "%s: %s", task->id, task->failure.text);
    const size_t n_dead = unit_table_count(task->units, UNIT_DEAD);
    if (n_dead && unit_table_is_settled(task->units))
        return error_set(err, ST_INTERNAL, "%s: %zu of %zu units are dead: %s", task->id, n_dead,
                         unit_table_n_units(task->units), last_error(task));
    *is_over = unit_table_is_complete(task->units);
    return ST_OK;
}

void sweep_task_leave(struct sweep_task *work)
{
    if (!work->task) return;
    dispatcher_forget_task(work->sweep->context->dispatcher, work->task);
    task_destroy(&work->task);
}

status_t sweep_task_end(struct sweep_task *work, struct error *err)
{
    if (!work->task) return ST_OK;
    const status_t status = dispatcher_end_task(work->sweep->context->dispatcher, work->task, err);
    if (status == ST_OK) task_destroy(&work->task);
    return status;
}
