/* A capture unit as bytes: what a lease carries to a worker.
 *
 *   u32 version  u32 split  u64 unit_number  u32 n_rows  u32 row_tokens  u32 n_segments
 *   n_segments x { u32 row, start, length, document_index, document_offset; u64 document_key }
 *   n_rows * row_tokens x u32 token                                      all little-endian
 *
 * Any thread. */
#ifndef COMMON_CAPTURE_UNIT_BYTES_H
#define COMMON_CAPTURE_UNIT_BYTES_H

#include "common/buffer.h"
#include "common/capture_unit.h"
#include "common/error.h"

#include <stddef.h>

enum { CAPTURE_UNIT_MAX_TOKENS = 2 * 1024 * 1024 }; /* DESIGN 7 */

MUST_CHECK status_t capture_unit_encode(const struct capture_unit *unit, struct buffer *out,
                                        struct error *err);

/* A decoded unit owns its arrays. */
struct capture_unit_copy {
    struct capture_unit unit; /* tokens and segments point at the arrays below */
    uint32_t *tokens;
    struct capture_segment *segments;
};

/* Untrusted bytes; the result passes capture_unit_check(). On ST_OK the caller owns *out (fini).
 * Errors: ST_PROTOCOL, ST_CORRUPT, ST_TOO_LARGE, ST_BAD_INPUT, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t capture_unit_decode(const void *bytes, size_t n_bytes,
                                        struct capture_unit_copy *out, struct error *err);
void capture_unit_copy_fini(struct capture_unit_copy *copy);

#endif
