/* A page of records as the coordinator sent it (api/results_operation.c), for those who hand them
 * on as they are: {"rows": [RECORD, ...], "next_cursor": N or null, "total": N}. Nothing is parsed
 * that need not be: parsing takes most of the time that a hundred megabytes of records need. Any
 * thread. */
#ifndef COORDINATOR_CLI_RESULT_PAGE_H
#define COORDINATOR_CLI_RESULT_PAGE_H

#include "common/error.h"
#include "coordinator/api/json_scan.h"

#include <stdbool.h>
#include <stdint.h>

struct result_page {
    int64_t next_cursor; /* -1: this was the last page */
    double total;        /* records of the sweep so far */
    struct json_scan rows;
    bool is_begun;
};

/* `text` is borrowed as long as the page is used. Errors: ST_PROTOCOL (it is no such page). */
MUST_CHECK status_t result_page_open(struct result_page *out, struct wire_text text,
                                     struct error *err);

/* The next record, an object without its surroundings; *has_record is false behind the last one.
 * Valid UTF-8 and no control characters, as of every JSON that is printed; else, and where a record
 * is none, ST_PROTOCOL. */
MUST_CHECK status_t result_page_next(struct result_page *page, struct wire_text *record,
                                     bool *has_record, struct error *err);

#endif
