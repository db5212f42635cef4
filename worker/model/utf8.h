/* UTF-8 in and out (Unicode 15, section 3.9). Pure functions, any thread.
 *
 * Ill-formed input is never passed on: each maximal subpart of an ill-formed sequence reads as
 * one U+FFFD, as Python's errors="replace" and WHATWG decoders do. */
#ifndef WORKER_MODEL_UTF8_H
#define WORKER_MODEL_UTF8_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_MAX_BYTES = 4 };

/* Look at the first sequence of bytes [n_bytes > 0]. True: it is a character of *n_used bytes.
 * False: it is ill-formed and its maximal subpart has *n_used (1 to 3) bytes. */
bool utf8_step(const char *bytes, size_t n_bytes, size_t *n_used);

/* How many of the leading bytes are well-formed. */
size_t utf8_valid_prefix(const char *bytes, size_t n_bytes);

/* Append the bytes to *out with each ill-formed subpart replaced by U+FFFD.
 * Errors: those of buffer_append(). */
MUST_CHECK status_t utf8_repair(const char *bytes, size_t n_bytes, struct buffer *out,
                                struct error *err);

/* The first character of well-formed text [at least one byte]; *n_used gets its length. */
uint32_t utf8_read(const char *text, size_t *n_used);

/* Encode a scalar value; returns the number of bytes written. */
size_t utf8_write(uint32_t codepoint, char out[UTF8_MAX_BYTES]);

/* The Unicode property White_Space. */
bool utf8_is_white_space(uint32_t codepoint);

/* Bytes of white space at the start (at the end) of well-formed text. */
size_t utf8_leading_space(const char *text, size_t n_bytes);
size_t utf8_trailing_space(const char *text, size_t n_bytes);

/* Where the character in front of `end` begins (end > 0, well-formed text). */
size_t utf8_previous(const char *text, size_t end);

#endif
