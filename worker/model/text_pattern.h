/* {"String": ...} or {"Regex": ...}: what tokenizer.json's Replace and Split look for.
 * Read-only after load, any thread with its own cursor. */
#ifndef WORKER_MODEL_TEXT_PATTERN_H
#define WORKER_MODEL_TEXT_PATTERN_H

#include "common/buffer.h"
#include "common/error.h"
#include "worker/model/regex.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct text_pattern {
    char *literal; /* owned, NUL-terminated, not empty; NULL if it is a regex */
    size_t n_literal;
    struct regex *regex; /* owned; NULL if it is a literal */
};

/* Read the object. Errors: ST_CORRUPT (form, empty string), those of regex_create(). */
MUST_CHECK status_t text_pattern_load(struct text_pattern *out, const json_t *value,
                                      struct error *err);
void text_pattern_fini(struct text_pattern *pattern);

/* The first match at or after `from`, as regex_find() does it. */
MUST_CHECK status_t text_pattern_find(const struct text_pattern *pattern,
                                      struct regex_cursor *cursor, const char *text, size_t n_bytes,
                                      size_t from, bool *found, size_t *begin, size_t *end,
                                      struct error *err);

/* Append the text to *out with every match replaced by `content`. */
MUST_CHECK status_t text_pattern_replace(const struct text_pattern *pattern,
                                         struct regex_cursor *cursor, const char *text,
                                         size_t n_bytes, const char *content, struct buffer *out,
                                         struct error *err);

#endif
