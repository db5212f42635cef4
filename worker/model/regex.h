/* The regular expressions of tokenizer.json, on PCRE2 with its JIT compiler.
 *
 * Those files are written for Oniguruma, whose classes differ from PCRE2's in places that change
 * token ids (U+180E is white space for PCRE2 only; \h, \v, \w mean other sets). So a pattern is
 * translated first: classes are spelled out by Unicode property, and any construct whose meaning
 * differs or was not checked is refused by name. Matching needs a cursor per thread; the
 * compiled pattern itself is read-only after compile. */
#ifndef WORKER_MODEL_REGEX_H
#define WORKER_MODEL_REGEX_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { REGEX_MAX_PATTERN_BYTES = 4096 };

/* Members of a class: the word characters of Rust's regex crate, which the reference uses for
 * single_word and Whitespace. Oniguruma's \w is the same without the two joiners. */
#define REGEX_RUST_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"

struct regex;
struct regex_cursor; /* one thread's match state, for any number of patterns */

/* Compile `pattern` (Oniguruma spelling, UTF-8). On ST_OK the caller owns *out.
 * Errors: ST_UNSUPPORTED (a construct that is not translated), ST_BAD_INPUT (syntax),
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t regex_create(struct regex **out, const char *pattern, struct error *err);
void regex_destroy(struct regex **regex); /* NULL-safe; sets *regex = NULL */

MUST_CHECK status_t regex_cursor_create(struct regex_cursor **out, struct error *err);
void regex_cursor_destroy(struct regex_cursor **cursor); /* NULL-safe; sets it to NULL */

/* Find the first match at or after byte `from` in well-formed UTF-8 text. *found says whether
 * there is one; then [*begin, *end) holds it (perhaps empty).
 * Errors: ST_TOO_LARGE when the search passes PCRE2's match or stack limit. */
MUST_CHECK status_t regex_find(const struct regex *regex, struct regex_cursor *cursor,
                               const char *text, size_t n_bytes, size_t from, bool *found,
                               size_t *begin, size_t *end, struct error *err);

#endif
