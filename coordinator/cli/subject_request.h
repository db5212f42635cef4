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

typedef status_t subject_print_fn(const struct cli *cli, const json_t *answer, struct error *err);
struct subject_operation {
    const char *name; /* of the coordinator's operation */
    const char *kind; /* of the JSON document */
    subject_print_fn *print;
};

/* Ask, and print the answer in the format that the arguments want. The operation answers "pending"
 * until the workers have answered: asked again. Errors: the operation's; ST_UNREACHABLE (no
 * worker), ST_TIMEOUT, ST_CANCELLED (cli->was_interrupted). */
MUST_CHECK status_t subject_request_show(struct cli *cli, const struct cli_arguments *arguments,
                                         const struct subject_operation *operation,
                                         const json_t *request, struct error *err);

#endif
