/* One record of a circuit sweep (coordinator/sweep/circuit_results.h) as a row of a table or a line
 * of CSV. */
#ifndef COORDINATOR_CLI_COMPONENT_ROWS_H
#define COORDINATOR_CLI_COMPONENT_ROWS_H

#include "coordinator/cli/text_table.h"

#include <jansson.h>

/* Is it such a record? */
bool component_row_is(const json_t *record);

const struct text_column *component_row_columns(bool is_wide, size_t *n_columns);
MUST_CHECK status_t component_row_add(struct text_table *table, bool is_wide, const json_t *record,
                                      struct error *err);

/* What of a record its row and its line of CSV are made of, appended to `fields` as
 * record_row_fields() does. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t component_row_fields(json_t *fields, struct error *err);

void component_row_print_csv_heading(FILE *out);
void component_row_print_csv(FILE *out, const json_t *record);

#endif
