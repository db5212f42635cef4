#include "common/hash.h"

#include <openssl/sha.h>
#include <stdio.h>

char *hash_sha256_hex(const void *bytes, size_t n_bytes, char out[HASH_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(bytes, n_bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[HASH_HEX_SIZE - 1] = '\0';
    return out;
}

uint64_t hash_name64(const void *bytes, size_t n_bytes)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t number = 0;
    SHA256(bytes, n_bytes, digest);
    for (size_t i = 0; i < 8; i++) number = number << 8 | digest[i];
    return number;
}
