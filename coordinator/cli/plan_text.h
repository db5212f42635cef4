/* What a sweep will do, before it does it. */
#ifndef COORDINATOR_CLI_PLAN_TEXT_H
#define COORDINATOR_CLI_PLAN_TEXT_H

#include "coordinator/cli/cli.h"
#include "coordinator/intake/sweep_spec.h"

/* Print plan and estimate to `out`: text for a terminal like that of `cli`, or one document when
 * this is a --dry-run with -o json. Reads the corpora, the models' configuration and the providers'
 * prices here; asks no coordinator. Errors: what is wrong with one of those. */
MUST_CHECK status_t plan_text_print(const struct cli *cli, const struct cli_arguments *arguments,
                                    FILE *out, const struct sweep_spec *spec, struct error *err);

#endif
