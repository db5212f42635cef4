/* Commands about features are for label sweeps: what is said where they are given another kind.
 * Any thread. */
#ifndef COORDINATOR_CLI_SWEEP_KIND_H
#define COORDINATOR_CLI_SWEEP_KIND_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>

/* `summary`: the answer of the operation `status`. */
bool sweep_kind_is_label(const json_t *summary);

/* ST_OK of a label sweep. Else ST_BAD_INPUT: which kind it is, and the command that shows it. */
MUST_CHECK status_t sweep_kind_check(const char *sweep, const json_t *summary, struct error *err);

/* The same of two that are to be compared: which is of which kind. */
MUST_CHECK status_t sweep_kind_check_both(const char *const sweeps[2], json_t *const summaries[2],
                                          struct error *err);

#endif
