/* The bytes of a file, plain or opened from gzip or zstd, in order and bounded memory.
 *
 * The kind goes by the first bytes, not by the name. Several gzip members or zstd frames one
 * after the other are one stream. A stream that ends inside a member is an error, never a short
 * read. A handle belongs to one thread. */
#ifndef COORDINATOR_INTAKE_BYTE_SOURCE_H
#define COORDINATOR_INTAKE_BYTE_SOURCE_H

#include "common/error.h"

#include <stddef.h>

struct byte_source;

/* Errors: ST_NOT_FOUND, ST_BAD_INPUT (not a regular file), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t byte_source_open(struct byte_source **out, const char *path, struct error *err);
void byte_source_close(struct byte_source **source); /* NULL-safe; sets *source = NULL */

/* Up to `room` (> 0) bytes into `bytes`; *n_bytes 0 means the end. Errors name the file: ST_IO,
 * ST_CORRUPT (damaged or cut-off compressed data), ST_TOO_LARGE (zstd window over 128 MiB). */
MUST_CHECK status_t byte_source_read(struct byte_source *source, void *bytes, size_t room,
                                     size_t *n_bytes, struct error *err);

#endif
