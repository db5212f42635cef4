/* Workers as a table. */
#ifndef COORDINATOR_CLI_WORKER_TEXT_H
#define COORDINATOR_CLI_WORKER_TEXT_H

#include "coordinator/cli/text_table.h"

#include <jansson.h>

/* `workers`: an array of *worker* (coordinator/api/API.md). */
MUST_CHECK status_t worker_text_table(const json_t *workers, bool is_wide,
                                      const struct text_table_style *style, FILE *out,
                                      struct error *err);

#endif
