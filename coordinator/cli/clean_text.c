#define _XOPEN_SOURCE 700 /* wcwidth */
#include "coordinator/cli/clean_text.h"

#include "coordinator/session/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define ELLIPSIS "\xE2\x80\xA6" /* U+2026 */
#define SIGN_NEWLINE 0x21B5u    /* arrow down and left */
#define SIGN_TAB 0x2192u        /* arrow right */
#define REPLACEMENT 0xFFFDu

static bool is_between(uint32_t code, uint32_t low, uint32_t high)
{
    return code >= low && code <= high;
}

static bool is_unsafe(uint32_t code)
{
    return code < 0x20 || is_between(code, 0x7F, 0x9F) ||
           is_between(code, 0x200E, 0x200F) ||  /* direction marks */
           is_between(code, 0x2028, 0x202E) ||  /* separators, embeddings, overrides */
           is_between(code, 0x2066, 0x2069) ||  /* isolates */
           code == 0x061C || code == 0xFEFF ||  /* Arabic letter mark, BOM */
           is_between(code, 0xE000, 0xF8FF) ||  /* private use */
           is_between(code, 0xFFF0, 0xFFFB) ||  /* interlinear annotation */
           is_between(code, 0xE0000, 0x10FFFF); /* tags, private planes */
}

/* The character to show for the one at text[0..n_bytes); how many bytes it took through *n. */
static uint32_t next_shown(const char *text, size_t n_bytes, size_t *n)
{
    uint32_t code;
    *n = utf8_decode(text, n_bytes, &code);
    if (*n == 0) {
        *n = 1;
        return REPLACEMENT;
    }
    if (code == '\n') return SIGN_NEWLINE;
    if (code == '\t') return SIGN_TAB;
    return is_unsafe(code) ? REPLACEMENT : code;
}

static size_t columns_of(uint32_t code)
{
    if (code < 0x7F) return 1;
    const int width = wcwidth((wchar_t)code);
    return width < 0 ? 1 : (size_t)width;
}

size_t clean_text_columns(const char *text, size_t n_bytes)
{
    size_t columns = 0, n;
    for (size_t at = 0; at < n_bytes; at += n)
        columns += columns_of(next_shown(text + at, n_bytes - at, &n));
    return columns;
}

status_t clean_text_append(struct buffer *out, const char *text, size_t n_bytes, size_t max_columns,
                           size_t *columns, struct error *err)
{
    const bool is_cut = max_columns && clean_text_columns(text, n_bytes) > max_columns;
    const size_t room = is_cut ? max_columns - 1 : SIZE_MAX;
    size_t used = 0, n;
    status_t status = ST_OK;
    for (size_t at = 0; at < n_bytes && status == ST_OK; at += n) {
        const uint32_t code = next_shown(text + at, n_bytes - at, &n);
        char bytes[4];
        if (columns_of(code) > room - used) break;
        used += columns_of(code);
        status = buffer_append(out, bytes, utf8_encode(code, bytes), err);
    }
    if (is_cut && status == ST_OK) {
        status = buffer_append(out, ELLIPSIS, strlen(ELLIPSIS), err);
        used++;
    }
    if (columns) *columns = used;
    return status;
}
