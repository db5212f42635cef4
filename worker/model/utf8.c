#include "worker/model/utf8.h"

#include <string.h>

/* What may follow a lead byte: how many bytes, and the range of the first of them (the others
 * are 80..BF). Table 3-7 of the standard. */
struct lead {
    unsigned n_more;
    unsigned char low, high;
};

static struct lead lead_of(unsigned char byte)
{
    if (byte < 0xc2 || byte > 0xf4) return (struct lead){0, 0, 0};
    if (byte < 0xe0) return (struct lead){1, 0x80, 0xbf};
    if (byte == 0xe0) return (struct lead){2, 0xa0, 0xbf};
    if (byte == 0xed) return (struct lead){2, 0x80, 0x9f};
    if (byte < 0xf0) return (struct lead){2, 0x80, 0xbf};
    if (byte == 0xf0) return (struct lead){3, 0x90, 0xbf};
    if (byte < 0xf4) return (struct lead){3, 0x80, 0xbf};
    return (struct lead){3, 0x80, 0x8f};
}

bool utf8_step(const char *bytes, size_t n_bytes, size_t *n_used)
{
    const unsigned char first = (unsigned char)bytes[0];
    *n_used = 1;
    if (first < 0x80) return true;
    const struct lead lead = lead_of(first);
    if (lead.n_more == 0) return false;
    for (size_t i = 1; i <= lead.n_more; i++) {
        *n_used = i;
        if (i >= n_bytes) return false;
        const unsigned char byte = (unsigned char)bytes[i];
        const unsigned char low = i == 1 ? lead.low : 0x80;
        const unsigned char high = i == 1 ? lead.high : 0xbf;
        if (byte < low || byte > high) return false;
    }
    *n_used = lead.n_more + 1u;
    return true;
}

size_t utf8_valid_prefix(const char *bytes, size_t n_bytes)
{
    size_t at = 0;
    while (at < n_bytes) {
        uint64_t eight;
        size_t n_used;
        if (n_bytes - at >= sizeof eight) {
            memcpy(&eight, bytes + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) { /* all ASCII */
                at += sizeof eight;
                continue;
            }
        }
        if (!utf8_step(bytes + at, n_bytes - at, &n_used)) break;
        at += n_used;
    }
    return at;
}

status_t utf8_repair(const char *bytes, size_t n_bytes, struct buffer *out, struct error *err)
{
    size_t at = 0;
    while (at < n_bytes) {
        size_t n_used;
        const size_t n_valid = utf8_valid_prefix(bytes + at, n_bytes - at);
        status_t status = buffer_append(out, bytes + at, n_valid, err);
        if (status != ST_OK) return status;
        at += n_valid;
        if (at == n_bytes) break;
        (void)utf8_step(bytes + at, n_bytes - at, &n_used);
        status = buffer_append(out, "\xef\xbf\xbd", 3, err);
        if (status != ST_OK) return status;
        at += n_used;
    }
    return ST_OK;
}

uint32_t utf8_read(const char *text, size_t *n_used)
{
    const unsigned char *b = (const unsigned char *)text;
    if (b[0] < 0x80) {
        *n_used = 1;
        return b[0];
    }
    if (b[0] < 0xe0) {
        *n_used = 2;
        return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
    }
    if (b[0] < 0xf0) {
        *n_used = 3;
        return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    }
    *n_used = 4;
    return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
}

size_t utf8_write(uint32_t codepoint, char out[UTF8_MAX_BYTES])
{
    if (codepoint < 0x80) {
        out[0] = (char)codepoint;
        return 1;
    }
    if (codepoint < 0x800) {
        out[0] = (char)(0xc0 | codepoint >> 6);
        out[1] = (char)(0x80 | (codepoint & 0x3f));
        return 2;
    }
    if (codepoint < 0x10000) {
        out[0] = (char)(0xe0 | codepoint >> 12);
        out[1] = (char)(0x80 | (codepoint >> 6 & 0x3f));
        out[2] = (char)(0x80 | (codepoint & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | codepoint >> 18);
    out[1] = (char)(0x80 | (codepoint >> 12 & 0x3f));
    out[2] = (char)(0x80 | (codepoint >> 6 & 0x3f));
    out[3] = (char)(0x80 | (codepoint & 0x3f));
    return 4;
}

bool utf8_is_white_space(uint32_t codepoint)
{
    if (codepoint < 0x80) return codepoint == ' ' || (codepoint >= 9 && codepoint <= 13);
    return codepoint == 0x85 || codepoint == 0xa0 || codepoint == 0x1680 ||
           (codepoint >= 0x2000 && codepoint <= 0x200a) || codepoint == 0x2028 ||
           codepoint == 0x2029 || codepoint == 0x202f || codepoint == 0x205f || codepoint == 0x3000;
}

size_t utf8_leading_space(const char *text, size_t n_bytes)
{
    size_t at = 0;
    while (at < n_bytes) {
        size_t n_used;
        if (!utf8_is_white_space(utf8_read(text + at, &n_used))) break;
        at += n_used;
    }
    return at;
}

size_t utf8_previous(const char *text, size_t end)
{
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    return at;
}

size_t utf8_trailing_space(const char *text, size_t n_bytes)
{
    size_t at = n_bytes;
    while (at > 0) {
        size_t n_used;
        const size_t before = utf8_previous(text, at);
        if (!utf8_is_white_space(utf8_read(text + before, &n_used))) break;
        at = before;
    }
    return n_bytes - at;
}
