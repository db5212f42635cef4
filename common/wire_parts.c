/* Bulk frames made of parts: [u32 n][u64 size] x n [bytes of part 0][bytes of part 1]... */
#include "common/wire.h"

#include <string.h>

enum { COUNT_BYTES = 4, SIZE_BYTES = 8 };

static void put_le(unsigned char *out, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) out[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *bytes, size_t n_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

status_t wire_parts_encode(const struct wire_text *parts, size_t n, struct buffer *out,
                           struct error *err)
{
    unsigned char number[SIZE_BYTES];
    put_le(number, n, COUNT_BYTES);
    status_t status = buffer_append(out, number, COUNT_BYTES, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        put_le(number, parts[i].n_bytes, SIZE_BYTES);
        status = buffer_append(out, number, SIZE_BYTES, err);
    }
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = buffer_append(out, parts[i].bytes, parts[i].n_bytes, err);
    return status;
}

status_t wire_parts_decode(const void *bytes, size_t n_bytes, struct wire_parts *out,
                           struct error *err)
{
    const unsigned char *in = bytes;
    if (n_bytes < COUNT_BYTES) return error_set(err, ST_PROTOCOL, "bulk frame without a count");
    const uint64_t n = get_le(in, COUNT_BYTES);
    size_t left = n_bytes - COUNT_BYTES;
    if (n > left / SIZE_BYTES)
        return error_set(err, ST_PROTOCOL, "bulk frame of %zu bytes claims %llu parts", n_bytes,
                         (unsigned long long)n);
    left -= n * SIZE_BYTES;
    for (size_t i = 0; i < n; i++) {
        const uint64_t size = get_le(in + COUNT_BYTES + i * SIZE_BYTES, SIZE_BYTES);
        if (size > left) return error_set(err, ST_PROTOCOL, "part %zu overruns the frame", i);
        left -= size;
    }
    if (left) return error_set(err, ST_PROTOCOL, "%zu bytes behind the last part", left);
    *out = (struct wire_parts){n, in + COUNT_BYTES + n * SIZE_BYTES, in + COUNT_BYTES};
    return ST_OK;
}

size_t wire_part_size(const struct wire_parts *parts, size_t index)
{
    return (size_t)get_le(parts->sizes + index * SIZE_BYTES, SIZE_BYTES);
}

struct wire_text wire_part(const struct wire_parts *parts, size_t index)
{
    size_t offset = 0;
    for (size_t i = 0; i < index; i++) offset += wire_part_size(parts, i);
    return (struct wire_text){(const char *)parts->bytes + offset, wire_part_size(parts, index)};
}
