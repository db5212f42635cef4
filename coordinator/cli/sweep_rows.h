/* Every record of a finished sweep, page by page, in order of target and feature. One thread. */
#ifndef COORDINATOR_CLI_SWEEP_ROWS_H
#define COORDINATOR_CLI_SWEEP_ROWS_H

#include "coordinator/cli/client.h"

#include <jansson.h>
#include <stdint.h>

/* The record is borrowed; `target` counts the sweep's targets from 0. */
typedef status_t sweep_rows_fn(void *context, json_t *record, uint32_t target, struct error *err);

/* *status (new reference; NULL: not wanted) is the answer of the operation `status`. Errors:
 * ST_CONFLICT (the sweep has not finished), those of client_ask() and of `visit`. */
MUST_CHECK status_t sweep_rows_visit(struct client *client, const char *sweep, sweep_rows_fn *visit,
                                     void *context, json_t **status, struct error *err);

#endif
