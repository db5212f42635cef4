#include "common/evidence_zstd.h"

#include <zstd.h>

enum { LEVEL = 1 };

status_t evidence_compress(const void *bytes, size_t n_bytes, struct buffer *out, struct error *err)
{
    void *room;
    const size_t max_bytes = ZSTD_compressBound(n_bytes);
    const status_t status = buffer_reserve(out, max_bytes, &room, err);
    if (status != ST_OK) return status;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context) return error_set(err, ST_NO_MEMORY, "zstd context");
    size_t result = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
    if (!ZSTD_isError(result)) result = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (!ZSTD_isError(result)) result = ZSTD_compress2(context, room, max_bytes, bytes, n_bytes);
    (void)ZSTD_freeCCtx(context); /* frees; always 0 */
    if (ZSTD_isError(result))
        return error_set(err, ST_NO_MEMORY, "zstd of %zu bytes: %s", n_bytes,
                         ZSTD_getErrorName(result));
    out->n_bytes += result;
    return ST_OK;
}

status_t evidence_decompress(const void *bytes, size_t n_bytes, size_t max_bytes,
                             struct buffer *out, struct error *err)
{
    const unsigned long long n_content = ZSTD_getFrameContentSize(bytes, n_bytes);
    if (n_content == ZSTD_CONTENTSIZE_ERROR || n_content == ZSTD_CONTENTSIZE_UNKNOWN)
        return error_set(err, ST_CORRUPT, "%zu bytes are no zstd frame of known size", n_bytes);
    if (n_content > max_bytes)
        return error_set(err, ST_TOO_LARGE, "zstd frame of %llu bytes, allowed are %zu", n_content,
                         max_bytes);
    if (ZSTD_findFrameCompressedSize(bytes, n_bytes) != n_bytes)
        return error_set(err, ST_CORRUPT, "%zu bytes are not exactly one zstd frame", n_bytes);
    void *room;
    const size_t n_room = n_content ? (size_t)n_content : 1;
    const status_t status = buffer_reserve(out, n_room, &room, err);
    if (status != ST_OK) return status;
    const size_t result = ZSTD_decompress(room, n_room, bytes, n_bytes);
    if (ZSTD_isError(result) || result != n_content)
        return error_set(err, ST_CORRUPT, "zstd frame of %zu bytes: %s", n_bytes,
                         ZSTD_isError(result) ? ZSTD_getErrorName(result) : "wrong size");
    out->n_bytes += result;
    return ST_OK;
}
