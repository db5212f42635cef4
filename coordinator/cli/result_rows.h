/* Records kept for sorting: as text with their key, at most the best `limit` of them, so that a
 * sweep of many thousand features fits. One thread. */
#ifndef COORDINATOR_CLI_RESULT_ROWS_H
#define COORDINATOR_CLI_RESULT_ROWS_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct result_row;

struct result_rows {
    bool by_score; /* best score first; else by feature */
    size_t limit;
    struct result_row *rows; /* [n], owned */
    size_t n, capacity;
    size_t n_seen; /* added so far, kept or not */
};

void result_rows_init(struct result_rows *rows, bool by_score, size_t limit);
void result_rows_fini(struct result_rows *rows);

/* Keep a copy of the record. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t result_rows_add(struct result_rows *rows, const json_t *record,
                                    struct error *err);

/* Sort, and hand each record to `visit` in order. */
typedef status_t result_rows_fn(void *context, const json_t *record, struct error *err);
MUST_CHECK status_t result_rows_visit(struct result_rows *rows, result_rows_fn *visit,
                                      void *context, struct error *err);

#endif
