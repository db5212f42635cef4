/* Prompts are files in config/prompts/: the words are data that a user may change, and every
 * result names the version it was made with (SHA-256 of the file).
 *
 *   # comment lines, before the first section only
 *   @system
 *   text of the system message
 *   @user
 *   text of the user message with {{fields}}
 *
 * Strict: an unknown section, a field that the caller does not fill, and a given field that the
 * file does not use are errors. Values are inserted once and never read again, so a value that
 * holds "{{label}}" stays as it is; making a value harmless is its builder's duty
 * (prompt_data.h). A template is immutable; any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_TEMPLATE_H
#define COORDINATOR_SESSION_PROMPT_TEMPLATE_H

#include "common/buffer.h"
#include "common/hash.h"

#include <stddef.h>

enum { PROMPT_MAX_TEMPLATE_BYTES = 1 << 18, PROMPT_MAX_FIELDS = 32, PROMPT_MAX_FIELD_NAME = 32 };

struct prompt_template; /* opaque */

struct prompt_field {
    const char *name; /* lower-case letters, digits and '_' */
    const char *text; /* [n_bytes], borrowed */
    size_t n_bytes;
};

/* Parse bytes[n_bytes], called `name` in errors. On ST_OK the caller owns *out. Errors:
 * ST_BAD_INPUT with name and line, ST_TOO_LARGE, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t prompt_template_parse(struct prompt_template **out, const char *name,
                                          const char *bytes, size_t n_bytes, struct error *err);
/* The same from a file, named by its path. Also ST_NOT_FOUND, ST_IO. */
MUST_CHECK status_t prompt_template_load(struct prompt_template **out, const char *path,
                                         struct error *err);
void prompt_template_destroy(struct prompt_template **template_); /* NULL-safe */

/* 64 hex digits and a NUL; lives as long as the template. */
const char *prompt_template_hash(const struct prompt_template *template_);
/* Its sections as they stand in the file, from the first on; lives as long as the template. */
const char *prompt_template_text(const struct prompt_template *template_);

/* Does the template use exactly these fields? ST_BAD_INPUT names the first that is not given or
 * not used. Call it when a sweep is submitted: a typo must not surface in the middle of it. */
MUST_CHECK status_t prompt_template_check_fields(const struct prompt_template *template_,
                                                 const char *const *names, size_t n_names,
                                                 struct error *err);

/* Append the filled sections to `system` and `user`. Errors: as above, and the buffers'. */
MUST_CHECK status_t prompt_template_fill(const struct prompt_template *template_,
                                         const struct prompt_field *fields, size_t n_fields,
                                         struct buffer *system, struct buffer *user,
                                         struct error *err);

#endif
