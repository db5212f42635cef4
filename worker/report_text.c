#include "worker/report_text.h"

#include <string.h>

static const char SPACE[] = " \n";

/* A byte of UTF-8 that begins a character takes a column. */
static size_t n_columns_of(const char *word, size_t n_bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) n += ((unsigned char)word[i] & 0xc0) != 0x80;
    return n;
}

void report_text_wrap(FILE *to, const char *text, size_t column, size_t indent)
{
    size_t gap = 0; /* before the next word */
    for (text += strspn(text, SPACE); *text; text += strspn(text, SPACE)) {
        const size_t n_bytes = strcspn(text, SPACE), n = n_columns_of(text, n_bytes);
        if ((gap || column > indent) && column + gap + n > REPORT_TEXT_COLUMNS) {
            (void)fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
            gap = 0;
        }
        (void)fprintf(to, "%*s%.*s", (int)gap, "", (int)n_bytes, text);
        column += gap + n;
        gap = 1;
        text += n_bytes;
    }
    (void)fputc('\n', to);
}
