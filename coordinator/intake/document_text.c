#include "coordinator/intake/document_text.h"

#include "coordinator/session/utf8.h"

#include <stdint.h>
#include <string.h>

/* How many of the bytes from `text` on are plain ASCII, in steps of 8. */
static size_t ascii_run(const char *text, size_t n_bytes)
{
    size_t at = 0;
    while (n_bytes - at >= 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        if (word & UINT64_C(0x8080808080808080)) break;
        at += 8;
    }
    return at;
}

status_t document_text_check(const char *text, size_t n_bytes, const char *place, const char *what,
                             struct error *err)
{
    const char *nul = memchr(text, 0, n_bytes);
    size_t at = 0;
    if (nul)
        return error_set(err, ST_BAD_INPUT, "%s: binary: NUL at byte %zu of %s", place,
                         (size_t)(nul - text), what);
    while (at < n_bytes) {
        at += ascii_run(text + at, n_bytes - at);
        if (at == n_bytes) break;
        const bool is_ascii = (unsigned char)text[at] < 0x80;
        const size_t n = is_ascii ? 1 : utf8_decode(text + at, n_bytes - at, NULL);
        if (n == 0)
            return error_set(err, ST_BAD_INPUT, "%s: not UTF-8 at byte %zu of %s (0x%02x)", place,
                             at, what, (unsigned)(unsigned char)text[at]);
        at += n;
    }
    return ST_OK;
}

bool document_text_is_blank(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (text[i] != ' ' && (text[i] < '\t' || text[i] > '\r')) return false;
    return true;
}
