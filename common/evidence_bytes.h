/* The bytes of evidence: little-endian numbers and minimal LEB128 varints.
 *
 * Writing goes through a bare pointer into room that the caller has reserved for the worst
 * case; reading through a cursor that never passes its end and remembers the first failure, so
 * that a run of reads needs one check. */
#ifndef COMMON_EVIDENCE_BYTES_H
#define COMMON_EVIDENCE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { EVIDENCE_VARINT32_MAX = 5, EVIDENCE_VARINT64_MAX = 10 };

static inline unsigned char *evidence_put_varint(unsigned char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

static inline unsigned char *evidence_put_u16(unsigned char *at, uint16_t value)
{
    for (unsigned i = 0; i < 2; i++) *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

static inline unsigned char *evidence_put_u32(unsigned char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

static inline unsigned char *evidence_put_u64(unsigned char *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

static inline unsigned char *evidence_put_f32(unsigned char *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return evidence_put_u32(at, bits);
}

struct evidence_cursor {
    const unsigned char *at;
    const unsigned char *end;
    bool is_bad; /* a read failed: everything read since is 0 */
};

static inline size_t evidence_left(const struct evidence_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline uint64_t evidence_fail(struct evidence_cursor *cursor)
{
    cursor->is_bad = true;
    cursor->at = cursor->end;
    return 0;
}

/* A minimal varint of at most 64 bits. */
static inline uint64_t evidence_get_varint(struct evidence_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (cursor->at == cursor->end) return evidence_fail(cursor);
        const unsigned char byte = *cursor->at++;
        if (shift == 63 && byte > 1) return evidence_fail(cursor);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return byte == 0 && shift > 0 ? evidence_fail(cursor) : value;
    }
    return evidence_fail(cursor);
}

/* A varint of at most `max`. */
static inline uint32_t evidence_get_count(struct evidence_cursor *cursor, uint32_t max)
{
    const uint64_t value = evidence_get_varint(cursor);
    return value > max ? (uint32_t)evidence_fail(cursor) : (uint32_t)value;
}

static inline uint64_t evidence_get_fixed(struct evidence_cursor *cursor, unsigned n_bytes)
{
    if (evidence_left(cursor) < n_bytes) return evidence_fail(cursor);
    uint64_t value = 0;
    for (unsigned i = 0; i < n_bytes; i++) value |= (uint64_t)cursor->at[i] << (8 * i);
    cursor->at += n_bytes;
    return value;
}

static inline uint8_t evidence_get_u8(struct evidence_cursor *cursor)
{
    return (uint8_t)evidence_get_fixed(cursor, 1);
}

static inline uint16_t evidence_get_u16(struct evidence_cursor *cursor)
{
    return (uint16_t)evidence_get_fixed(cursor, 2);
}

static inline uint32_t evidence_get_u32(struct evidence_cursor *cursor)
{
    return (uint32_t)evidence_get_fixed(cursor, 4);
}

static inline uint64_t evidence_get_u64(struct evidence_cursor *cursor)
{
    return evidence_get_fixed(cursor, 8);
}

static inline float evidence_get_f32(struct evidence_cursor *cursor)
{
    const uint32_t bits = evidence_get_u32(cursor);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
