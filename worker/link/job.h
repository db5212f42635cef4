/* A lease as the worker holds it, and the report that comes back. Passed by pointer through
 * inproc sockets between the link thread and a run thread: whoever holds the pointer owns it,
 * except `is_revoked` and `running_unit`, which both may touch. */
#ifndef WORKER_LINK_JOB_H
#define WORKER_LINK_JOB_H

#include "common/task.h"
#include "common/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

struct job {
    uint64_t lease, epoch, low, high;
    char task[TASK_ID_SIZE];
    char *spec_json; /* owned */
    zmq_msg_t bulk;  /* owned; parts point into it */
    struct wire_parts parts;
    uint64_t n_reported; /* units whose fate the link thread has told; its alone */
    atomic_bool is_revoked;
    _Atomic uint64_t running_unit;
};

void job_destroy(struct job *job); /* NULL-safe */

enum report_kind {
    REPORT_SETTLED,
    REPORT_FAILED, /* `unit` failed */
    REPORT_LEAVE, /* the device is of no use any more: this worker must leave, because of `error` */
    REPORT_DONE   /* the job itself comes back to be destroyed */
};
struct report {
    enum report_kind kind;
    struct job *job;
    size_t thread_index;
    struct wire_ranges ranges;
    uint64_t unit, n_stored, n_duplicate;
    double seconds;
    struct error error;
};

#endif
