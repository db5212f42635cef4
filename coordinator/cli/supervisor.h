/* Keeps the processes of a local cluster running: starts them in order, notices a death at once
 * (pidfd), starts again with back-off, adopts what a dead supervisor left behind.
 *
 *            start             exits            due
 *   WAITING -------> RUNNING --------> WAITING -----> RUNNING
 *                       |  exit code 2: REFUSED (its input is wrong; again would be the same)
 *                       |  a worker with exit code 0: LEFT (it was drained)
 *                       |  a worker with exit code 3: UNUSABLE (its device cannot be had)
 *
 * A worker that ran before is tried again for half a minute although it exits with 3: it may have
 * retired with a device that is being reset. Exit codes: common/error.h, worker/README.md.
 * Gateways and workers start once Redis answers, and so does the coordinator. What it sees is in
 * DIR/run/status.json, for `up` and `doctor`. One thread; started by `interpctl up`. */
#ifndef COORDINATOR_CLI_SUPERVISOR_H
#define COORDINATOR_CLI_SUPERVISOR_H

#include "coordinator/cli/cluster_process.h"

#include <stdint.h>

/* Supervise until SIGTERM or SIGINT, then stop everything. Errors: ST_CONFLICT (another one
 * holds the state directory), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t supervisor_run(const struct cluster_options *options,
                                   const struct cluster_paths *paths, struct error *err);

enum supervisor_state {
    SUPERVISOR_WAITING,
    SUPERVISOR_RUNNING,
    SUPERVISOR_REFUSED,
    SUPERVISOR_LEFT,
    SUPERVISOR_UNUSABLE
};

/* What becomes of a process of this stage that exits so (128 + signal if by one, -1: not known),
 * after so many restarts and short lives in a row: WAITING starts it again. */
enum supervisor_state supervisor_state_after(enum cluster_stage stage, int exit_code,
                                             unsigned n_restarts, unsigned n_failures);
/* "waiting", "running", "refused", "left", "unusable", as in run/status.json. */
const char *supervisor_state_name(enum supervisor_state state);

/* How long to wait before the next start after `n_failures` short lives in a row (from 1). */
int64_t supervisor_delay_ms(unsigned n_failures);

/* Does a supervisor hold this state directory? */
bool supervisor_is_running(const struct cluster_paths *paths);

#endif
