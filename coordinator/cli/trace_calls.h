/* The calls behind a session: counted by what they were for, or word for word. */
#ifndef COORDINATOR_CLI_TRACE_CALLS_H
#define COORDINATOR_CLI_TRACE_CALLS_H

#include "coordinator/cli/cli.h"

#include <jansson.h>

/* The operation `calls` of the feature that the positional arguments name: without --raw and --call
 * the calls alone, else with `body` and `reply`. *out is NULL if the sweep asked nobody about it,
 * or nothing was kept. The caller owns *out. */
MUST_CHECK status_t trace_calls_ask(struct cli *cli, const struct cli_arguments *arguments,
                                    json_t **out, struct error *err);

/* A row for every round and purpose: calls, attempts, tokens, dollars. */
MUST_CHECK status_t trace_calls_print(const struct cli *cli, const json_t *calls,
                                      struct error *err);
/* Every prompt and reply, cleaned of what could move the terminal. */
MUST_CHECK status_t trace_calls_print_raw(const struct cli *cli, const json_t *calls,
                                          struct error *err);

#endif
