/* Stop what runs in a state directory: workers, gateways, coordinator, Redis, in this order; by
 * SIGTERM, and by SIGKILL for what is still there after a bound. Process files name them. */
#ifndef COORDINATOR_CLI_CLUSTER_STOP_H
#define COORDINATOR_CLI_CLUSTER_STOP_H

#include "common/error.h"
#include "coordinator/cli/cluster_paths.h"

#include <stddef.h>
#include <stdio.h>

/* `say` gets a line per stage; may be NULL. Returns how many processes were running. Errors:
 * ST_TIMEOUT when something survives SIGKILL (a hung disk). */
MUST_CHECK status_t cluster_stop(const struct cluster_paths *paths, FILE *say, size_t *n_stopped,
                                 struct error *err);

/* Is any process of the cluster (the supervisor aside) running? */
size_t cluster_count_running(const struct cluster_paths *paths);

#endif
