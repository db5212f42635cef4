/* The coordinator's answer `circuit`: asked for, and shown as a report, a drawing or JSON. */
#ifndef COORDINATOR_CLI_CIRCUIT_REPORT_H
#define COORDINATOR_CLI_CIRCUIT_REPORT_H

#include "coordinator/cli/cli.h"

/* The caller owns *answer. Errors: those of client_ask(). */
MUST_CHECK status_t circuit_report_ask(struct client *client, const char *sweep, json_t **answer,
                                       struct error *err);

/* To cli->out, as the arguments say; `answer` loses its texts where JSON is wanted. Errors:
 * ST_NOT_FOUND (a drawing of nothing), ST_NO_MEMORY, ST_IO. */
MUST_CHECK status_t circuit_report_print(const struct cli *cli,
                                         const struct cli_arguments *arguments, json_t *answer,
                                         struct error *err);

#endif
