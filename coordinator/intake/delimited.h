/* A file as runs of bytes between delimiters: lines, separated documents, or the whole file.
 * A UTF-8 byte order mark at the start is dropped. An empty run at the very end is no run, so
 * "a\n" has one line. Memory is bounded by the longest run allowed. Belongs to one thread. */
#ifndef COORDINATOR_INTAKE_DELIMITED_H
#define COORDINATOR_INTAKE_DELIMITED_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct delimited;

/* Runs longer than `max_bytes` are refused. Errors: those of byte_source_open(). */
MUST_CHECK status_t delimited_open(struct delimited **out, const char *path, size_t max_bytes,
                                   struct error *err);
void delimited_close(struct delimited **reader); /* NULL-safe; sets *reader = NULL */

/* The run up to the next `delimiter` (n_delimiter bytes; 0: the rest of the file), which is
 * dropped. *bytes lives until the next call. *has_run false at the end. Errors: those of
 * byte_source_read(), ST_TOO_LARGE (ours, without the place: the caller knows it). */
MUST_CHECK status_t delimited_next(struct delimited *reader, const char *delimiter,
                                   size_t n_delimiter, const char **bytes, size_t *n_bytes,
                                   bool *has_run, struct error *err);

#endif
