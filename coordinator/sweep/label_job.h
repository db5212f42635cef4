/* A background job of a label sweep: a function over the run, and what to do when it is over.
 * While it runs, the loop leaves alone what the job works on (the phase waits for it). */
#ifndef COORDINATOR_SWEEP_LABEL_JOB_H
#define COORDINATOR_SWEEP_LABEL_JOB_H

#include "coordinator/sweep/label_run.h"

typedef status_t label_job_fn(struct label_run *run, struct error *err);

/* Run `work` on a background thread; its error fails the sweep. Errors: ST_NO_MEMORY. */
status_t label_job_start(struct label_run *run, label_job_fn *work, struct error *err);

#endif
