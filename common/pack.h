/* Writing msgpack into a buffer: what messages of tasks share. */
#ifndef COMMON_PACK_H
#define COMMON_PACK_H

#include "common/buffer.h"

#include <msgpack.h>

/* For msgpack_packer_init(), with the buffer as its data. */
static inline int pack_into_buffer(void *buffer, const char *bytes, size_t n_bytes)
{
    return buffer_append(buffer, bytes, n_bytes, NULL) == ST_OK ? 0 : -1;
}

static inline bool pack_bin(msgpack_packer *packer, const void *bytes, size_t n_bytes)
{
    return msgpack_pack_bin(packer, n_bytes) == 0 &&
           (n_bytes == 0 || msgpack_pack_bin_body(packer, bytes, n_bytes) == 0);
}

/* What was appended behind n_before is dropped unless all of it is there and below the cap. */
static inline status_t pack_end(struct buffer *out, size_t n_before, bool is_whole,
                                size_t max_bytes, const char *what, struct error *err)
{
    const size_t n_bytes = out->n_bytes - n_before;
    if (is_whole && n_bytes <= max_bytes) return ST_OK;
    out->n_bytes = n_before;
    return error_set(err, ST_TOO_LARGE, "%s: %zu bytes do not fit", what, n_bytes);
}

#endif
