#include "worker/link/job.h"

#include <stdlib.h>

void job_destroy(struct job *job)
{
    if (!job) return;
    (void)zmq_msg_close(&job->bulk);
    free(job->spec_json);
    free(job);
}
