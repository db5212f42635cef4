/* The sweep that does nothing, as fast as the system can: one task of noop units. It measures
 * the queue, the wire and the store, and is the smallest example of an engine. */
#include "coordinator/sweep/sweep.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOOP_UNITS_PER_LEASE = 8192 };

static const struct task_ops noop_task_ops = {0};
static const char noop_task[] = "noop";

static void noop_task_id(const struct sweep *sweep, char out[TASK_ID_SIZE])
{
    (void)snprintf(out, TASK_ID_SIZE, "%s/%s", sweep->id, noop_task);
}

static status_t noop_start(struct sweep *sweep, struct error *err)
{
    char id[TASK_ID_SIZE], spec[256];
    noop_task_id(sweep, id);
    (void)snprintf(spec, sizeof spec,
                   "{\"kind\":\"noop\",\"payload_bytes\":%u,\"unit_ms\":%u,\"fail_unit\":%llu,"
                   "\"kill_unit\":%llu}",
                   (unsigned)sweep->spec->payload_bytes, (unsigned)sweep->spec->unit_ms,
                   (unsigned long long)sweep->spec->fail_unit,
                   (unsigned long long)sweep->spec->kill_unit);
    const struct task_params params = {.id = id,
                                       .kind = TASK_NOOP,
                                       .n_units = sweep->spec->n_units,
                                       .spec_json = spec,
                                       .ops = &noop_task_ops,
                                       .owner = sweep,
                                       .share = &sweep->share,
                                       .is_new = sweep_take_new_task(sweep),
                                       .max_units_per_lease = NOOP_UNITS_PER_LEASE};
    struct task *task;
    status_t status = task_create(&task, &params, err);
    if (status == ST_OK) status = dispatcher_add_task(sweep->context->dispatcher, task, err);
    if (status == ST_OK)
        sweep->engine = task;
    else
        task_destroy(&task);
    return status;
}

static status_t noop_step(struct sweep *sweep, struct error *err)
{
    const struct task *task = sweep->engine;
    sweep->is_complete = unit_table_is_complete(task->units);
    if (!sweep->is_complete && unit_table_is_settled(task->units))
        return error_set(err, ST_INTERNAL, "%zu units are dead (interpctl dead %s shows why)",
                         unit_table_count(task->units, UNIT_DEAD), sweep->id);
    return ST_OK;
}

static void noop_stop(struct sweep *sweep)
{
    struct task *task = sweep->engine;
    dispatcher_forget_task(sweep->context->dispatcher, task);
    task_destroy(&task);
}

static status_t noop_forget(const struct sweep *sweep, struct error *err)
{
    char id[TASK_ID_SIZE];
    noop_task_id(sweep, id);
    return dispatcher_forget_keys(sweep->context->dispatcher, id, sweep_over_words(sweep), err);
}

static void noop_progress(const struct sweep *sweep, struct sweep_progress *out)
{
    const struct task *task = sweep->engine;
    const size_t n = (size_t)sweep->spec->n_units;
    const size_t n_done =
        task ? unit_table_count(task->units, UNIT_DONE) : (sweep->state == SWEEP_FINISHED ? n : 0);
    *out =
        (struct sweep_progress){.phase = task ? "noop" : "done",
                                .fraction = n ? (double)n_done / (double)n : 1.0,
                                .eta_seconds = -1,
                                .n_units = n,
                                .n_units_done = n_done,
                                .n_units_dead = task ? unit_table_count(task->units, UNIT_DEAD) : 0,
                                .n_supported = -1};
}

static void noop_retry(struct sweep *sweep)
{
    struct task *task = sweep->engine;
    (void)dispatcher_retry_dead(sweep->context->dispatcher, task);
}

const struct sweep_engine_ops noop_engine = {.first_task = noop_task,
                                             .start = noop_start,
                                             .step = noop_step,
                                             .stop = noop_stop,
                                             .forget = noop_forget,
                                             .progress = noop_progress,
                                             .retry = noop_retry};
