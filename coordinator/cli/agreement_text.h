/* Whether several judges agree, as a table: of one feature's record, or of a sweep's summary. */
#ifndef COORDINATOR_CLI_AGREEMENT_TEXT_H
#define COORDINATOR_CLI_AGREEMENT_TEXT_H

#include "coordinator/cli/cli.h"

#include <jansson.h>

/* `agreement` as session/label_json.h has it; NULL or null prints nothing. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t agreement_print(const struct cli *cli, const json_t *agreement,
                                    struct error *err);

#endif
