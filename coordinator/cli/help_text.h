/* Help in two columns that a terminal shows without breaking words: a head, and behind it, or below
 * where it is long, what it says. Any thread. */
#ifndef COORDINATOR_CLI_HELP_TEXT_H
#define COORDINATOR_CLI_HELP_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Columns to use on a terminal of so many (0: none); never so few that nothing fits behind a head,
 * nor more than can be read. */
size_t help_text_width(size_t terminal_columns);

/* `head` behind two blanks, `text` from column `column` on. */
void help_text_row(FILE *out, const char *head, const char *text, size_t column, size_t width);

/* Lines of a text that was laid out already: what is too long goes on below where the last column
 * of its line begins. */
void help_text_print(FILE *out, const char *text, size_t width);

#endif
