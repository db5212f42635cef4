/* Names by content and order-free sampling keys.
 *
 * SHA-256 (libcrypto) names what is stored or paid for: calls, blobs, results. hash_mix64 is a
 * fast bijective mixer (splitmix64, Steele, Lea and Flood 2014) for sampling keys, where only
 * uniformity and equality across machines matter. Any thread. */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include "common/error.h"
#include "common/host_device.h"

#include <stddef.h>
#include <stdint.h>

enum { HASH_HEX_SIZE = 65 };

/* Lower-case hex SHA-256 of the bytes, NUL-terminated, into out[HASH_HEX_SIZE]; returns out. */
char *hash_sha256_hex(const void *bytes, size_t n_bytes, char out[HASH_HEX_SIZE]);

/* The same of bytes that come in pieces. The owner destroys it. */
struct hash_stream;
MUST_CHECK status_t hash_stream_create(struct hash_stream **out, struct error *err);
MUST_CHECK status_t hash_stream_add(struct hash_stream *stream, const void *bytes, size_t n_bytes,
                                    struct error *err);
MUST_CHECK status_t hash_stream_hex(struct hash_stream *stream, char out[HASH_HEX_SIZE],
                                    struct error *err); /* ends the stream */
void hash_stream_destroy(struct hash_stream **stream);  /* NULL-safe */

static HOST_DEVICE inline uint64_t hash_mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* First 64 bits (big-endian) of the SHA-256 of the bytes: the stable number of a name. */
uint64_t hash_name64(const void *bytes, size_t n_bytes);

#endif
