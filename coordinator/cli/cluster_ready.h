/* Waiting until a local cluster answers: what `interpctl up` shows while it starts. */
#ifndef COORDINATOR_CLI_CLUSTER_READY_H
#define COORDINATOR_CLI_CLUSTER_READY_H

#include "coordinator/cli/cli.h"
#include "coordinator/cli/cluster_process.h"

/* Wait until Redis and the coordinator answer, the gateways run and every worker has been
 * welcomed, but those that stay down (cluster_down.h); a line on cli->err for each. Errors:
 * ST_TIMEOUT after `bound_s` (names what is missing and its log), ST_BAD_INPUT (a process refused
 * its input: its last log line), ST_NOT_FOUND (every worker stays down), ST_CANCELLED (a
 * signal). */
MUST_CHECK status_t cluster_ready_wait(struct cli *cli, const struct cluster_options *options,
                                       const struct cluster_paths *paths, double bound_s,
                                       struct error *err);

/* The page's address into out[cap]; false if there is none. */
bool cluster_ready_page(const struct cluster_paths *paths, char *out, size_t cap);

/* The supervisor's DIR/run/status.json; NULL if there is none. The caller owns it. */
json_t *cluster_ready_status(const struct cluster_paths *paths);

#endif
