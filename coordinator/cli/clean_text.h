/* Text from outside made safe to print: labels and window texts come from LLMs and corpora.
 *
 * Control characters (C0, DEL, C1) never reach a terminal: newline, tab and carriage return
 * become visible signs, the rest U+FFFD; so do invalid UTF-8, the marks that reorder text
 * (bidirectional overrides and isolates), invisible tags and private-use characters. Any thread. */
#ifndef COORDINATOR_CLI_CLEAN_TEXT_H
#define COORDINATOR_CLI_CLEAN_TEXT_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* Append the cleaned text; at most `max_columns` terminal columns (0: no limit), the last of
 * which is then an ellipsis. Returns the columns written through *columns (may be NULL). */
MUST_CHECK status_t clean_text_append(struct buffer *out, const char *text, size_t n_bytes,
                                      size_t max_columns, size_t *columns, struct error *err);

/* Columns that the cleaned text takes. */
size_t clean_text_columns(const char *text, size_t n_bytes);

#endif
