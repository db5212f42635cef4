/* Text for people on lines of a terminal: broken between words, so that none is wider. No state;
 * any thread. */
#ifndef WORKER_REPORT_TEXT_H
#define WORKER_REPORT_TEXT_H

#include <stddef.h>
#include <stdio.h>

enum { REPORT_TEXT_COLUMNS = 80 };

/* Write `text` and a newline where `column` columns of the line are taken; lines after it begin
 * behind `indent` spaces. Runs of white space are one; a word wider than a line stands alone. */
void report_text_wrap(FILE *to, const char *text, size_t column, size_t indent);

#endif
