#include "coordinator/intake/byte_source.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK_BYTES = 128 * 1024 };
enum coding { CODING_PLAIN, CODING_GZIP, CODING_ZSTD };

struct byte_source {
    char *path;
    FILE *file;
    enum coding coding;
    unsigned char *chunk; /* [CHUNK_BYTES] of the file; what is not consumed yet: */
    size_t chunk_start, chunk_end;
    bool is_file_end;
    bool is_inside; /* a member or frame has begun and not ended */
    bool has_gzip;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static status_t refill(struct byte_source *source, struct error *err)
{
    if (source->chunk_start < source->chunk_end || source->is_file_end) return ST_OK;
    source->chunk_start = 0;
    source->chunk_end = fread(source->chunk, 1, CHUNK_BYTES, source->file);
    if (source->chunk_end == CHUNK_BYTES) return ST_OK;
    if (ferror(source->file))
        return error_set(err, ST_IO, "read %s: %s", source->path, strerror(errno));
    source->is_file_end = source->chunk_end == 0;
    return ST_OK;
}

static enum coding coding_of(const unsigned char *bytes, size_t n_bytes)
{
    static const unsigned char gzip_magic[] = {0x1f, 0x8b};
    static const unsigned char zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (n_bytes >= 2 && memcmp(bytes, gzip_magic, 2) == 0) return CODING_GZIP;
    if (n_bytes >= 4 && memcmp(bytes, zstd_magic, 4) == 0) return CODING_ZSTD;
    return CODING_PLAIN;
}

static status_t start_decoder(struct byte_source *source, struct error *err)
{
    source->coding = coding_of(source->chunk, source->chunk_end);
    if (source->coding == CODING_GZIP) {
        source->has_gzip = inflateInit2(&source->gzip, 15 + 16) == Z_OK; /* gzip header */
        if (!source->has_gzip) return error_set(err, ST_NO_MEMORY, "%s: no memory", source->path);
    } else if (source->coding == CODING_ZSTD) {
        source->zstd = ZSTD_createDStream();
        if (!source->zstd) return error_set(err, ST_NO_MEMORY, "%s: no memory", source->path);
    }
    return ST_OK;
}

static status_t open_file(struct byte_source *source, struct error *err)
{
    struct stat stat_of;
    if (stat(source->path, &stat_of) != 0)
        return error_set(err, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", source->path,
                         strerror(errno));
    if (!S_ISREG(stat_of.st_mode))
        return error_set(err, ST_BAD_INPUT, "%s: not a regular file", source->path);
    source->file = fopen(source->path, "rb");
    if (!source->file) return error_set(err, ST_IO, "open %s: %s", source->path, strerror(errno));
    return ST_OK;
}

status_t byte_source_open(struct byte_source **out, const char *path, struct error *err)
{
    struct byte_source *source = calloc(1, sizeof *source);
    status_t status = ST_OK;
    if (source) {
        source->path = strdup(path);
        source->chunk = malloc(CHUNK_BYTES);
    }
    if (!source || !source->path || !source->chunk)
        status = error_set(err, ST_NO_MEMORY, "%s: no memory", path);
    if (status == ST_OK) status = open_file(source, err);
    if (status == ST_OK) status = refill(source, err);
    if (status == ST_OK) status = start_decoder(source, err);
    if (status == ST_OK)
        *out = source;
    else
        byte_source_close(&source);
    return status;
}

void byte_source_close(struct byte_source **source)
{
    if (!source || !*source) return;
    if ((*source)->file) (void)fclose((*source)->file); /* read-only: nothing to lose */
    if ((*source)->has_gzip) (void)inflateEnd(&(*source)->gzip);
    (void)ZSTD_freeDStream((*source)->zstd);
    free((*source)->chunk);
    free((*source)->path);
    free(*source);
    *source = NULL;
}

/* One step of inflate over what lies in the chunk. */
static status_t step_gzip(struct byte_source *source, void *bytes, size_t room, size_t *n_bytes,
                          struct error *err)
{
    const size_t n_in = source->chunk_end - source->chunk_start;
    const uInt n_out = room > (1u << 30) ? 1u << 30 : (uInt)room;
    z_stream *gzip = &source->gzip;
    int result;
    if (!source->is_inside) (void)inflateReset(gzip);
    source->is_inside = true;
    gzip->next_in = source->chunk + source->chunk_start;
    gzip->avail_in = (uInt)n_in;
    gzip->next_out = bytes;
    gzip->avail_out = n_out;
    result = inflate(gzip, Z_NO_FLUSH);
    source->chunk_start = source->chunk_end - gzip->avail_in;
    *n_bytes = n_out - gzip->avail_out;
    if (result == Z_STREAM_END) source->is_inside = false;
    if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) return ST_OK;
    return error_set(err, ST_CORRUPT, "%s: damaged gzip data: %s", source->path,
                     gzip->msg ? gzip->msg : "unreadable");
}

static status_t step_zstd(struct byte_source *source, void *bytes, size_t room, size_t *n_bytes,
                          struct error *err)
{
    ZSTD_inBuffer in = {source->chunk, source->chunk_end, source->chunk_start};
    ZSTD_outBuffer out = {bytes, room, 0};
    const size_t result = ZSTD_decompressStream(source->zstd, &out, &in);
    source->chunk_start = in.pos;
    *n_bytes = out.pos;
    if (ZSTD_isError(result))
        return error_set(err, ST_CORRUPT, "%s: damaged zstd data: %s", source->path,
                         ZSTD_getErrorName(result));
    source->is_inside = result != 0;
    return ST_OK;
}

static status_t step_plain(struct byte_source *source, void *bytes, size_t room, size_t *n_bytes)
{
    const size_t n_left = source->chunk_end - source->chunk_start;
    *n_bytes = n_left < room ? n_left : room;
    memcpy(bytes, source->chunk + source->chunk_start, *n_bytes);
    source->chunk_start += *n_bytes;
    return ST_OK;
}

static status_t step(struct byte_source *source, void *bytes, size_t room, size_t *n_bytes,
                     struct error *err)
{
    if (source->coding == CODING_GZIP) return step_gzip(source, bytes, room, n_bytes, err);
    if (source->coding == CODING_ZSTD) return step_zstd(source, bytes, room, n_bytes, err);
    return step_plain(source, bytes, room, n_bytes);
}

status_t byte_source_read(struct byte_source *source, void *bytes, size_t room, size_t *n_bytes,
                          struct error *err)
{
    *n_bytes = 0;
    while (*n_bytes == 0) {
        status_t status = refill(source, err);
        if (status != ST_OK) return status;
        if (source->is_file_end && !source->is_inside) return ST_OK;
        status = step(source, bytes, room, n_bytes, err); /* may still flush held-back output */
        if (status != ST_OK) return status;
        if (*n_bytes == 0 && source->is_file_end)
            return source->is_inside
                       ? error_set(err, ST_CORRUPT, "%s: compressed data is cut off", source->path)
                       : ST_OK;
    }
    return ST_OK;
}
