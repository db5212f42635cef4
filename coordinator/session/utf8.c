#include "coordinator/session/utf8.h"

static size_t sequence_length(unsigned char lead)
{
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

size_t utf8_decode(const char *text, size_t n_bytes, uint32_t *code_point)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    if (n_bytes == 0) return 0;
    const unsigned char lead = (unsigned char)text[0];
    const size_t length = sequence_length(lead);
    if (length == 0 || length > n_bytes) return 0;
    uint32_t value = lead & lead_mask[length];
    for (size_t i = 1; i < length; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if ((byte & 0xC0) != 0x80) return 0;
        value = value << 6 | (byte & 0x3Fu);
    }
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    if (code_point) *code_point = value;
    return length;
}

size_t utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    size_t length = 2;
    unsigned char lead = 0xC0;
    if (code_point >= 0x10000) {
        length = 4;
        lead = 0xF0;
    } else if (code_point >= 0x800) {
        length = 3;
        lead = 0xE0;
    }
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code_point & 0x3F));
        code_point >>= 6;
    }
    out[0] = (char)(lead | code_point);
    return length;
}

size_t utf8_cut(const char *text, size_t n_bytes, size_t max_bytes)
{
    if (n_bytes <= max_bytes) return n_bytes;
    size_t cut = max_bytes;
    while (cut > 0 && ((unsigned char)text[cut] & 0xC0) == 0x80) cut--;
    return cut;
}

status_t utf8_append_valid(struct buffer *out, const char *text, size_t n_bytes, struct error *err)
{
    status_t status = ST_OK;
    for (size_t at = 0; at < n_bytes && status == ST_OK;) {
        const size_t n = utf8_decode(text + at, n_bytes - at, NULL);
        status = n ? buffer_append(out, text + at, n, err)
                   : buffer_append_text(out, UTF8_REPLACEMENT, err);
        at += n ? n : 1;
    }
    return status;
}
