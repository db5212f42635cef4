/* Strict UTF-8, one character at a time: over-long forms, surrogates and values past U+10FFFF
 * are invalid (RFC 3629). Any thread. */
#ifndef COORDINATOR_SESSION_UTF8_H
#define COORDINATOR_SESSION_UTF8_H

#include "common/buffer.h"

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* Bytes of the valid character at the start of text[n_bytes] (1..4) and its code point;
 * 0 if there is none. code_point may be NULL. */
size_t utf8_decode(const char *text, size_t n_bytes, uint32_t *code_point);

/* Write `code_point` (valid) into out; returns how many bytes. */
size_t utf8_encode(uint32_t code_point, char out[4]);

/* Largest length <= max_bytes at which text[n_bytes], valid UTF-8, may be cut. */
size_t utf8_cut(const char *text, size_t n_bytes, size_t max_bytes);

/* Append text[n_bytes] with every byte that is not part of a valid character as U+FFFD. Errors:
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t utf8_append_valid(struct buffer *out, const char *text, size_t n_bytes,
                                      struct error *err);

#endif
