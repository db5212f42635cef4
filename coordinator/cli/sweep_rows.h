/* Every record of a finished label sweep, page by page, in order of target and feature.
 * One thread. */
#ifndef COORDINATOR_CLI_SWEEP_ROWS_H
#define COORDINATOR_CLI_SWEEP_ROWS_H

#include "coordinator/cli/client.h"

#include <jansson.h>
#include <stdint.h>

/* The record is borrowed; `target` counts the sweep's targets from 0. */
typedef status_t sweep_rows_fn(void *context, json_t *record, uint32_t target, struct error *err);

/* Errors: ST_BAD_INPUT (it is no label sweep), ST_CONFLICT (it has not finished), those of
 * client_ask() and of `visit`. */
MUST_CHECK status_t sweep_rows_visit(struct client *client, const char *sweep, sweep_rows_fn *visit,
                                     void *context, struct error *err);

#endif
