/* Text that was cleaned (clean_text.h), broken into lines that a terminal shows without cutting
 * words. Any thread. */
#ifndef COORDINATOR_CLI_WRAPPED_TEXT_H
#define COORDINATOR_CLI_WRAPPED_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Lines of at most `width` columns (0: one line), each behind `indent` spaces, broken after a space
 * where there is one. Colours (ESC [ ... m) take no column. An empty text is an empty line. */
void wrapped_text_print(FILE *out, const char *text, size_t indent, size_t width);

/* The same behind something on its line already, `indent` columns of it: the first line goes on
 * there. */
void wrapped_text_continue(FILE *out, const char *text, size_t indent, size_t width);

#endif
