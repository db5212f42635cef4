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
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
    at[2] = (unsigned char)(value >> 16);
    at[3] = (unsigned char)(value >> 24);
    return at + 4;
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

/* A minimal varint of at most 64 bits; most have one byte. */
static inline uint64_t evidence_get_varint(struct evidence_cursor *cursor)
{
    uint64_t value = 0;
    if (cursor->at != cursor->end && *cursor->at < 0x80) return *cursor->at++;
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

static inline uint8_t evidence_get_u8(struct evidence_cursor *cursor)
{
    if (evidence_left(cursor) < 1) return (uint8_t)evidence_fail(cursor);
    return *cursor->at++;
}

static inline uint16_t evidence_get_u16(struct evidence_cursor *cursor)
{
    if (evidence_left(cursor) < 2) return (uint16_t)evidence_fail(cursor);
    const unsigned char *at = cursor->at;
    cursor->at += 2;
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t evidence_get_u32(struct evidence_cursor *cursor)
{
    if (evidence_left(cursor) < 4) return (uint32_t)evidence_fail(cursor);
    const unsigned char *at = cursor->at;
    cursor->at += 4;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t evidence_get_u64(struct evidence_cursor *cursor)
{
    const uint64_t low = evidence_get_u32(cursor);
    return low | (uint64_t)evidence_get_u32(cursor) << 32;
}

static inline float evidence_get_f32(struct evidence_cursor *cursor)
{
    const uint32_t bits = evidence_get_u32(cursor);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
