/* Oniguruma's spelling of a pattern into PCRE2's, with the same meaning or refused by name. */
#ifndef WORKER_MODEL_REGEX_TRANSLATE_H
#define WORKER_MODEL_REGEX_TRANSLATE_H

#include "common/buffer.h"
#include "common/error.h"

/* Append the translation of `pattern` to *out. Errors: ST_UNSUPPORTED names the construct,
 * ST_BAD_INPUT for a pattern that ends inside one; those of buffer_append(). */
MUST_CHECK status_t regex_translate(const char *pattern, struct buffer *out, struct error *err);

#endif
