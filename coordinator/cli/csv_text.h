/* One field of a CSV line (RFC 4180) from text of outside: cleaned (clean_text.h), in quotes, and
 * no formula: what a spreadsheet would compute gets an apostrophe in front. Any thread. */
#ifndef COORDINATOR_CLI_CSV_TEXT_H
#define COORDINATOR_CLI_CSV_TEXT_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>

/* Nothing is appended for an empty text. Errors: those of buffer_append(), and then *out may hold
 * a part of the field. */
MUST_CHECK status_t csv_text_append(struct buffer *out, const char *text, size_t n_bytes,
                                    struct error *err);

#endif
