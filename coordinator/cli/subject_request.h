/* Requests about a feature that the workers answer (probe, steer): what they are about, and asking
 * until it is done. */
#ifndef COORDINATOR_CLI_SUBJECT_REQUEST_H
#define COORDINATOR_CLI_SUBJECT_REQUEST_H

#include "coordinator/cli/commands.h"

#include <jansson.h>

/* Into `request`: the sweep, which is the first positional argument, and --target; or --model,
 * --hook, --dictionary, --units and --norm-scaling-factor. Errors: ST_BAD_INPUT, ST_NOT_FOUND. */
MUST_CHECK status_t subject_request_name(const struct cli_arguments *arguments, json_t *request,
                                         struct error *err);

/* The operation answers "pending" until the workers have answered: asked again. On ST_OK *out is a
 * new reference. Errors: the operation's; ST_UNREACHABLE (no worker), ST_TIMEOUT, ST_CANCELLED. */
MUST_CHECK status_t subject_request_ask(const struct cli *cli,
                                        const struct cli_arguments *arguments,
                                        const char *operation, const json_t *to_send, json_t **out,
                                        struct error *err);

#endif
