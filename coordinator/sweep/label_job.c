#include "coordinator/sweep/label_job.h"

#include <stdlib.h>

struct label_job {
    struct background_job job; /* first: the pool hands this pointer back */
    struct label_run *run;
    label_job_fn *work;
};

static status_t job_run(struct background_job *job, struct error *err)
{
    struct label_job *self = (struct label_job *)job;
    return self->work(self->run, err);
}

static void job_done(struct background_job *job, status_t status, const struct error *err)
{
    struct label_job *self = (struct label_job *)job;
    self->run->n_jobs--;
    if (status != ST_OK && self->run->failure.status == ST_OK) {
        self->run->failure = *err;
        self->run->failure.status = status;
    }
    free(self);
}

status_t label_job_start(struct label_run *run, label_job_fn *work, struct error *err)
{
    struct label_job *job = calloc(1, sizeof *job);
    if (!job) return error_set(err, ST_NO_MEMORY, "background job");
    job->job.run = job_run;
    job->job.done = job_done;
    job->run = run;
    job->work = work;
    background_submit(run->sweep->context->background, &job->job);
    run->n_jobs++;
    return ST_OK;
}
