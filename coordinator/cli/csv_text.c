#include "coordinator/cli/csv_text.h"

#include "coordinator/cli/clean_text.h"

#include <string.h>

enum { FIELD_BYTES = 1 << 20 };

static status_t append_quoted(struct buffer *out, const char *text, struct error *err)
{
    status_t status = buffer_append_text(out, strchr("=+-@", text[0]) ? "\"'" : "\"", err);
    while (status == ST_OK && *text) {
        const size_t n = strcspn(text, "\"");
        status = buffer_append(out, text, n, err);
        if (status == ST_OK && text[n]) status = buffer_append_text(out, "\"\"", err);
        text += n + (text[n] != '\0');
    }
    return status == ST_OK ? buffer_append_text(out, "\"", err) : status;
}

status_t csv_text_append(struct buffer *out, const char *text, size_t n_bytes, struct error *err)
{
    struct buffer clean;
    buffer_init(&clean, FIELD_BYTES);
    status_t status = clean_text_append(&clean, text, n_bytes, 0, NULL, err);
    if (status == ST_OK && clean.n_bytes) {
        const char *shown = buffer_text(&clean);
        status = shown ? append_quoted(out, shown, err)
                       : error_set(err, ST_TOO_LARGE, "a field of %zu bytes", n_bytes);
    }
    buffer_fini(&clean);
    return status;
}
