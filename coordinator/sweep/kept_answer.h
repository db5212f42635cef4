/* Numbers that the units of a task answered, kept in DATA/sweeps/ID/measured-NAME.bin under the
 * hash of all that was asked: computed once, whatever happens to the coordinator.
 *
 *   begin --> [the task's units come] --> poll: gather, keep, end the task --> numbers
 *         \-> they are on disk: nothing is asked, and what the store has is forgotten
 *
 * One at a time; loop thread only. */
#ifndef COORDINATOR_SWEEP_KEPT_ANSWER_H
#define COORDINATOR_SWEEP_KEPT_ANSWER_H

#include "common/buffer.h"
#include "common/hash.h"
#include "coordinator/sweep/sweep_task.h"

struct kept_answer {
    struct sweep_task *work; /* borrowed; NULL: nothing was begun */
    double *numbers;         /* [n], owned; zeros until they come */
    size_t n;
    bool is_here;                  /* all of them */
    bool was_kept;                 /* on disk */
    size_t n_units, n_units_timed; /* of the task, once it is over: all, and those whose time */
    double worker_seconds;         /* workers told (task_queue.h) */
    char name[32];
    char key[HASH_HEX_SIZE];
    char *path; /* owned */
};

struct kept_answer_params {
    struct sweep_task *work;
    size_t n;                             /* numbers, 0 is fine */
    const struct buffer *asked;           /* all that the numbers depend on */
    const struct sweep_task_params *task; /* its phase names file and task */
};
/* Begin, or find the numbers on disk. Touches nothing that may be away. The task's ops may fill
 * `numbers`. Errors: ST_NO_MEMORY. Ended by kept_answer_fini(), also after an error. */
MUST_CHECK status_t kept_answer_begin(struct kept_answer *answer,
                                      const struct kept_answer_params *params, struct error *err);

/* Called once all units are in: fills numbers [n]. */
typedef status_t kept_answer_fn(void *context, double *numbers, struct error *err);

/* *is_over: the numbers are here, and kept. gather NULL: the task's ops filled them. Errors: those
 * of gather, dead units, ST_IO. */
MUST_CHECK status_t kept_answer_poll(struct kept_answer *answer, kept_answer_fn *gather,
                                     void *context, bool *is_over, struct error *err);
/* Frees everything; the task is left to its owner. Fine twice. */
void kept_answer_fini(struct kept_answer *answer);

/* Are numbers of that name on disk, whatever was asked? */
bool kept_answer_exists(const struct sweep *sweep, const char *name);

#endif
