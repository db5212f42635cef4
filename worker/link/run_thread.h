/* The thread that computes: takes jobs from the link thread, runs their units, settles results,
 * reports. It never touches the wire; the link thread never computes. So a long forward pass
 * cannot delay a heartbeat, and a dead coordinator cannot stop a forward pass. */
#ifndef WORKER_LINK_RUN_THREAD_H
#define WORKER_LINK_RUN_THREAD_H

#include "common/error.h"
#include "worker/tasks/task_handler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct run_thread;

struct run_thread_params {
    void *zmq_context;           /* borrowed */
    const char *jobs_address;    /* inproc: struct job *, link -> this thread */
    const char *reports_address; /* inproc: struct report *, this thread -> link */
    const char *store_url;
    size_t thread_index;
    struct task_environment environment;
    bool may_leave_device; /* "auto": a model that does not fit ends this device's use */
    const atomic_bool *stop;
};

/* Start the thread. The sockets at both addresses must be bound by the link thread before. */
MUST_CHECK status_t run_thread_start(struct run_thread **out,
                                     const struct run_thread_params *params, struct error *err);
/* Wait for its end, after a NULL job was sent to it. */
void run_thread_join(struct run_thread **thread);

#endif
