/* The task of the phase that runs. */
#include "coordinator/sweep/label_run.h"

#include <stdio.h>

void label_task_id(const struct sweep *sweep, const char *phase, char out[TASK_ID_SIZE])
{
    (void)snprintf(out, TASK_ID_SIZE, "%s/%s", sweep->id, phase);
}

status_t label_task_begin(struct label_run *run, const struct label_task_params *params,
                          struct error *err)
{
    char id[TASK_ID_SIZE];
    label_task_id(run->sweep, params->phase, id);
    const struct task_params task = {.id = id,
                                     .kind = params->kind,
                                     .n_units = params->n_units,
                                     .spec_json = params->spec_json,
                                     .ops = params->ops,
                                     .owner = run,
                                     .share = &run->sweep->share,
                                     .is_pinned = params->is_pinned,
                                     .is_new = params->is_new,
                                     .max_units_per_lease = params->max_units_per_lease};
    run->is_task_added = false;
    return task_create(&run->task, &task, err);
}

static status_t add_task(struct label_run *run, struct error *err)
{
    if (run->is_task_added) return ST_OK;
    const status_t status = dispatcher_add_task(run->sweep->context->dispatcher, run->task, err);
    run->is_task_added = status == ST_OK;
    return status;
}

/* What stopped the unit that is dead, in its own words. */
static const char *last_error(const struct task *task)
{
    if (task->n_errors == 0) return "no error was kept";
    const size_t kept = task->n_errors < TASK_ERRORS_KEPT ? task->n_errors : TASK_ERRORS_KEPT;
    return task->errors[kept - 1].text;
}

status_t label_task_poll(struct label_run *run, bool *is_over, struct error *err)
{
    const struct task *task = run->task;
    *is_over = false;
    const status_t status = add_task(run, err);
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

void label_task_leave(struct label_run *run)
{
    if (!run->task) return;
    dispatcher_forget_task(run->sweep->context->dispatcher, run->task);
    task_destroy(&run->task);
}

status_t label_task_end(struct label_run *run, struct error *err)
{
    if (!run->task) return ST_OK;
    const status_t status = dispatcher_end_task(run->sweep->context->dispatcher, run->task, err);
    if (status == ST_OK) task_destroy(&run->task);
    return status;
}
