/* Workers that stay down: what they are to compute on cannot be had, and the supervisor starts them
 * no more (supervisor.h: UNUSABLE). Which, why, and what to do. Any thread. */
#ifndef COORDINATOR_CLI_CLUSTER_DOWN_H
#define COORDINATOR_CLI_CLUSTER_DOWN_H

#include "common/error.h"
#include "coordinator/cli/cluster_paths.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What to do, as a sentence without its end. */
extern const char cluster_down_cure[];

/* Is it one of them? `member`: of "processes" of run/status.json (cluster_ready_status()). */
bool cluster_down_is(const json_t *member);
/* How many of run/status.json; NULL has none. */
size_t cluster_down_count(const json_t *status);

/* A line for each, "worker-2 stays down: why", and one with what to do; nothing where there are
 * none. */
void cluster_down_tell(FILE *out, const json_t *status, const struct cluster_paths *paths);

/* Errors: ST_NOT_FOUND if all of n_workers (1 or more) stay down, with the first one's reason. */
MUST_CHECK status_t cluster_down_check(const json_t *status, const struct cluster_paths *paths,
                                       size_t n_workers, struct error *err);

#endif
