/* zstd frames around evidence bytes (partials, thresholds, frozen values, blocks). Level 1: the
 * bytes are already small, time matters more. Encoders and decoders of evidence take plain
 * bytes; whoever sends or stores them calls these. */
#ifndef COMMON_EVIDENCE_ZSTD_H
#define COMMON_EVIDENCE_ZSTD_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>

/* Append one frame (with its content size and checksum). Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_compress(const void *bytes, size_t n_bytes, struct buffer *out,
                                      struct error *err);

/* Append the content of exactly one frame; refused before any allocation if it says to hold
 * more than max_bytes, or does not say. Errors: ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_decompress(const void *bytes, size_t n_bytes, size_t max_bytes,
                                        struct buffer *out, struct error *err);

#endif
