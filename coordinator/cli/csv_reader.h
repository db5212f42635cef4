/* CSV as spreadsheets write it, row by row: RFC 4180 and what they do beside it.
 *
 *   separator   comma, semicolon or tab: the first of them outside quotes in the file
 *   line end    CRLF, LF or CR
 *   quotes      around any field or none; doubled inside; a field in quotes may hold line ends
 *   in front    a UTF-8 byte order mark is dropped
 *
 * Refused, by file and line: a quote that is never closed, text behind a closing quote, a NUL,
 * UTF-16, and a workbook that was not saved as text. A quote inside a field that did not begin
 * with one is a character like any other. Fields are bytes in whatever encoding the file has.
 *
 * The caller's bytes are unquoted in place, so that reading allocates nothing. One thread. */
#ifndef COORDINATOR_CLI_CSV_READER_H
#define COORDINATOR_CLI_CSV_READER_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { CSV_MAX_FIELDS = 256 };

struct csv_reader {
    const char *name; /* of the file, for errors; borrowed */
    char *at, *end;   /* what was not read yet */
    size_t line;      /* of `at`, from 1 */
    char separator;
};

struct csv_row {
    size_t line;                        /* on which it begins, from 1 */
    const char *fields[CSV_MAX_FIELDS]; /* point into the caller's bytes, NUL-terminated */
    size_t n_fields;                    /* at least 1 */
    bool is_blank;                      /* every field is empty */
};

/* bytes[n_bytes] is written over as well: it ends the last field. Both are borrowed as long as
 * the reader and its rows are used. Errors: ST_BAD_INPUT. */
MUST_CHECK status_t csv_reader_init(struct csv_reader *out, const char *name, char *bytes,
                                    size_t n_bytes, struct error *err);

/* The next row, or *has_row false behind the last. Errors: ST_BAD_INPUT, ST_TOO_LARGE (more than
 * CSV_MAX_FIELDS fields); then no more rows may be asked for. */
MUST_CHECK status_t csv_reader_next(struct csv_reader *reader, struct csv_row *out, bool *has_row,
                                    struct error *err);

#endif
