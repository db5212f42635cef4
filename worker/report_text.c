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

/* The value in its unit's thousands and their prefix; three digits may round up to the next one. */
static const char *scale(double *value)
{
    static const char *const PREFIXES[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t i = 0;
    while (*value >= 999.5 && i + 1 < sizeof PREFIXES / sizeof PREFIXES[0]) {
        *value /= 1000;
        i++;
    }
    return PREFIXES[i];
}

const char *report_text_amount(double value, const char *unit, char out[REPORT_NUMBER_SIZE])
{
    const char *prefix = scale(&value);
    (void)snprintf(out, REPORT_NUMBER_SIZE, "%.3g %s%s", value < 1e-3 ? 0 : value, prefix, unit);
    return out;
}

const char *report_text_count(double value, const char *unit, char out[REPORT_NUMBER_SIZE])
{
    const char *prefix = scale(&value);
    (void)snprintf(out, REPORT_NUMBER_SIZE, "%.3g %s%s%s", value < 1e-3 ? 0 : value, prefix,
                   *prefix ? " " : "", unit);
    return out;
}

const char *report_text_memory(double n_bytes, char out[REPORT_NUMBER_SIZE])
{
    static const char *const PREFIXES[] = {"Ki", "Mi", "Gi", "Ti"};
    size_t i = 0;
    n_bytes /= 1024;
    for (; n_bytes >= 1023.95 && i < 3; i++) n_bytes /= 1024;
    (void)snprintf(out, REPORT_NUMBER_SIZE, "%.1f %sB", n_bytes, PREFIXES[i]);
    return out;
}
