/* The worker's end of the wire: one thread that says HELLO, beats, hands leases to the run
 * threads and carries their reports to the coordinator. It never computes and never waits for
 * Redis, so a beat is late only if the machine is. Survives the coordinator: when the connection
 * comes back to a restarted one, it introduces itself again and the run threads never notice. */
#ifndef WORKER_LINK_LINK_H
#define WORKER_LINK_LINK_H

#include "common/curve.h"
#include "common/error.h"
#include "worker/tasks/task_handler.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct link_params {
    const char *endpoint;             /* of the coordinator's router */
    const struct curve_client *curve; /* NULL: no keys */
    const char *name;                 /* of this worker, unique in the cluster */
    const char *backend, *isa;
    size_t n_threads;
    struct model_cache *models;
    bool may_leave_device; /* "auto": leave with ST_NO_MEMORY for a model that does not fit on it */
    const volatile sig_atomic_t *stop_signal; /* set by SIGTERM / SIGINT: finish units, leave */
};

/* Run until stopped, drained or refused. ST_OK: left in good order. ST_PROTOCOL: the coordinator
 * refused us (version, role). ST_CONFLICT: our key is not allowed there. ST_UNREACHABLE: one side
 * has keys and the other has none; a coordinator that is absent or has another key is waited
 * for. ST_INTERNAL: the device is lost; ST_NO_MEMORY: as may_leave_device says. Units that were not
 * settled then go back to the coordinator. */
MUST_CHECK status_t link_run(const struct link_params *params, struct error *err);

#endif
