#include "coordinator/cli/wrapped_text.h"

#include "coordinator/cli/clean_text.h"

#include <stdint.h>
#include <string.h>

/* One character or colour from `at` on: its bytes, and the columns it takes (a colour none). */
static size_t next_cell(const char *at, size_t *columns)
{
    size_t n = 1;
    if (*at == '\033') {
        n = strcspn(at, "m");
        *columns = 0;
        return at[n] ? n + 1 : n;
    }
    while (((unsigned char)at[n] & 0xC0) == 0x80) n++;
    *columns = clean_text_columns(at, n);
    return n;
}

void wrapped_text_print(FILE *out, const char *text, size_t indent, size_t width)
{
    if (*text) (void)fprintf(out, "%*s", (int)indent, "");
    wrapped_text_continue(out, text, indent, width);
}

void wrapped_text_continue(FILE *out, const char *text, size_t indent, size_t width)
{
    const size_t room = width > 2 * indent ? width - indent : SIZE_MAX;
    if (!*text) (void)fputc('\n', out);
    while (*text) {
        size_t n = 0, n_columns = 0, columns, space = 0;
        while (text[n]) {
            const size_t step = next_cell(text + n, &columns);
            if (n && n_columns + columns > room) break;
            n_columns += columns;
            n += step;
            if (text[n - 1] == ' ') space = n;
        }
        if (text[n] && space) n = space;
        (void)fprintf(out, "%.*s\n", (int)n, text);
        text += n;
        if (*text) (void)fprintf(out, "%*s", (int)indent, "");
    }
}
