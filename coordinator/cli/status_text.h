/* Sweeps as text for people: the list and one sweep's status. */
#ifndef COORDINATOR_CLI_STATUS_TEXT_H
#define COORDINATOR_CLI_STATUS_TEXT_H

#include "coordinator/cli/cli.h"
#include "coordinator/cli/text_table.h"

/* The table of sweeps, an array of *summary* (coordinator/api/API.md). */
MUST_CHECK status_t status_text_list(const struct cli *cli, const struct cli_arguments *arguments,
                                     const json_t *sweeps, struct error *err);
/* Everything about one. */
MUST_CHECK status_t status_text_sweep(const struct cli *cli, const json_t *sweep,
                                      struct error *err);

/* How tables look on this terminal, as the arguments ask. */
struct text_table_style status_text_style(const struct cli *cli,
                                          const struct cli_arguments *arguments);

/* What sets a sweep or a record of it apart (control, same_family_allowed), a line each; nothing
 * for a plain one. */
void status_text_print_waivers(const struct cli *cli, const json_t *from);

/* Print "  name   value" with the value cleaned. */
void status_text_line(const struct cli *cli, const char *name, const char *value);

#endif
