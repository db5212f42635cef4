#include "coordinator/cli/help_text.h"

#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/wrapped_text.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH_LEAST = 72, WIDTH_USUAL = 80, WIDTH_MOST = 120, INDENT = 2 };

size_t help_text_width(size_t terminal_columns)
{
    if (terminal_columns == 0) return WIDTH_USUAL;
    if (terminal_columns < WIDTH_LEAST) return WIDTH_LEAST;
    return terminal_columns < WIDTH_MOST ? terminal_columns : WIDTH_MOST;
}

void help_text_row(FILE *out, const char *head, const char *text, size_t column, size_t width)
{
    const size_t end = INDENT + clean_text_columns(head, strlen(head));
    (void)fprintf(out, "%*s%s", INDENT, "", head);
    if (end < column)
        (void)fprintf(out, "%*s", (int)(column - end), "");
    else
        (void)fprintf(out, "\n%*s", (int)column, "");
    wrapped_text_continue(out, text, column, width);
}

/* Where the last column of a line begins: behind two blanks or more, else where its text does. */
static size_t last_column(const char *line)
{
    size_t column = strspn(line, " ");
    const char *gap = strstr(line + column, "  ");
    if (gap) column = (size_t)(gap - line) + strspn(gap, " ");
    return column;
}

void help_text_print(FILE *out, const char *text, size_t width)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        if (!line) return; /* no memory for help */
        const size_t column = last_column(line);
        (void)fprintf(out, "%.*s", (int)column, line);
        wrapped_text_continue(out, line + column, column, width);
        free(line);
        text += n + (text[n] == '\n');
    }
}
