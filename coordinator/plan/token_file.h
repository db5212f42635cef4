/* Token ids on disk, so that a corpus of any size takes no memory: a file without a name, gone with
 * its last descriptor however the process ends. Appended to by one thread; once the last id is in,
 * any number may read. 4 bytes an id, host order. */
#ifndef COORDINATOR_PLAN_TOKEN_FILE_H
#define COORDINATOR_PLAN_TOKEN_FILE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct token_file; /* opaque */

/* In `directory`, which must exist. Errors: ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t token_file_create(struct token_file **out, const char *directory,
                                      struct error *err);
void token_file_destroy(struct token_file **file); /* NULL-safe; sets *file = NULL */

/* Errors: ST_IO; what was there before stays as it is. */
MUST_CHECK status_t token_file_append(struct token_file *file, const uint32_t *tokens, size_t n,
                                      struct error *err);

/* Ids [first, first + n) into out[n]; the caller sees to it that they were appended.
 * Errors: ST_IO. */
MUST_CHECK status_t token_file_read(const struct token_file *file, uint64_t first, size_t n,
                                    uint32_t *out, struct error *err);

#endif
