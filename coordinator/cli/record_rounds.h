/* The session of a record (coordinator/session/label_json.h, key "session") as text: its rounds as
 * a table for `show`, everything that was tried for `trace`. A single pass has none, and nothing
 * is printed. Labels and texts are a model's: cleaned before they are shown. */
#ifndef COORDINATOR_CLI_RECORD_ROUNDS_H
#define COORDINATOR_CLI_RECORD_ROUNDS_H

#include "coordinator/cli/cli.h"

/* How it went: rounds, the chosen one, other corpora, whether refining paid. */
MUST_CHECK status_t record_print_rounds(const struct cli *cli, const json_t *record,
                                        struct error *err);
/* Every round with its label, its scores and each text that was tried. */
MUST_CHECK status_t record_print_trace(const struct cli *cli, const json_t *record,
                                       struct error *err);

#endif
