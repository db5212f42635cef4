/* The task of the phase that an engine is in: made, handed to the dispatcher, waited for, ended.
 * One at a time. Loop thread only. */
#ifndef COORDINATOR_SWEEP_SWEEP_TASK_H
#define COORDINATOR_SWEEP_SWEEP_TASK_H

#include "coordinator/sweep/sweep.h"

struct sweep_task {
    struct sweep *sweep; /* borrowed */
    struct task *task;   /* owned; NULL between phases */
    bool is_added;       /* the dispatcher has it */
};

/* "SWEEP/PHASE" */
void sweep_task_id(const struct sweep *sweep, const char *phase, char out[TASK_ID_SIZE]);

struct sweep_task_params {
    const char *phase; /* the phase's name, last part of the id */
    enum task_kind kind;
    size_t n_units;
    const char *spec_json;
    const struct task_ops *ops;
    void *owner; /* of the task, for ops */
    bool is_pinned, is_new;
    size_t max_units_per_lease;
};
/* Touches nothing that may be away. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t sweep_task_begin(struct sweep_task *work,
                                     const struct sweep_task_params *params, struct error *err);

/* Hands the task to the dispatcher first, if it has not got it. *is_over when every unit's result
 * was taken; an error when units are dead or refused. */
MUST_CHECK status_t sweep_task_poll(struct sweep_task *work, bool *is_over, struct error *err);

/* Remove the finished task and its keys. No-op without one. */
MUST_CHECK status_t sweep_task_end(struct sweep_task *work, struct error *err);

/* Let go of the task and leave its keys in the store. No-op without one. */
void sweep_task_leave(struct sweep_task *work);

#endif
