#include "common/hash.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

static void write_hex(const unsigned char digest[SHA256_DIGEST_LENGTH], char out[HASH_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[HASH_HEX_SIZE - 1] = '\0';
}

char *hash_sha256_hex(const void *bytes, size_t n_bytes, char out[HASH_HEX_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(bytes, n_bytes, digest);
    write_hex(digest, out);
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

struct hash_stream {
    EVP_MD_CTX *context;
};

status_t hash_stream_create(struct hash_stream **out, struct error *err)
{
    struct hash_stream *stream = calloc(1, sizeof *stream);
    if (stream) stream->context = EVP_MD_CTX_new();
    if (!stream || !stream->context) {
        hash_stream_destroy(&stream);
        return error_set(err, ST_NO_MEMORY, "SHA-256");
    }
    if (EVP_DigestInit_ex(stream->context, EVP_sha256(), NULL) != 1) {
        hash_stream_destroy(&stream);
        return error_set(err, ST_INTERNAL, "SHA-256 is not available");
    }
    *out = stream;
    return ST_OK;
}

status_t hash_stream_add(struct hash_stream *stream, const void *bytes, size_t n_bytes,
                         struct error *err)
{
    return EVP_DigestUpdate(stream->context, bytes, n_bytes) == 1
               ? ST_OK
               : error_set(err, ST_INTERNAL, "SHA-256 of %zu bytes", n_bytes);
}

status_t hash_stream_hex(struct hash_stream *stream, char out[HASH_HEX_SIZE], struct error *err)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    if (EVP_DigestFinal_ex(stream->context, digest, NULL) != 1)
        return error_set(err, ST_INTERNAL, "SHA-256");
    write_hex(digest, out);
    return ST_OK;
}

void hash_stream_destroy(struct hash_stream **stream)
{
    if (!*stream) return;
    EVP_MD_CTX_free((*stream)->context);
    free(*stream);
    *stream = NULL;
}
