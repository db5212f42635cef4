/* What kind of feature a record is about (coordinator/session/label_json.h, keys "typing",
 * "promoted", "meanings") as text for `show`. Labels are a model's: cleaned before they are
 * shown. */
#ifndef COORDINATOR_CLI_RECORD_KINDS_H
#define COORDINATOR_CLI_RECORD_KINDS_H

#include "coordinator/cli/cli.h"

/* Its type with the evidence, on one line; nothing where there is none. */
void record_print_type(const struct cli *cli, const json_t *record);
/* The tokens that it promotes and suppresses, and what the promoted ones share; why there are none;
 * nothing of a record that is older than this. */
MUST_CHECK status_t record_print_output(const struct cli *cli, const json_t *record,
                                        struct error *err);
/* Each of several meanings with its own scores; nothing of a feature that has one. */
MUST_CHECK status_t record_print_meanings(const struct cli *cli, const json_t *record,
                                          struct error *err);

#endif
