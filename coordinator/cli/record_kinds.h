/* What kind of feature a record is about (coordinator/session/label_json.h, keys "typing" and
 * "meanings") as text for `show`. Labels are a model's: cleaned before they are shown. */
#ifndef COORDINATOR_CLI_RECORD_KINDS_H
#define COORDINATOR_CLI_RECORD_KINDS_H

#include "coordinator/cli/cli.h"

/* Its type with the evidence, on one line; nothing where there is none. */
void record_print_type(const struct cli *cli, const json_t *record);
/* Each of several meanings with its own scores; nothing of a feature that has one. */
MUST_CHECK status_t record_print_meanings(const struct cli *cli, const json_t *record,
                                          struct error *err);

#endif
