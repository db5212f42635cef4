/* A capture unit: a fixed block of rows of tokens, and which part of which document lies where.
 *
 * The plan cuts units; a worker captures a unit as a whole and returns one partial per target.
 * All segments of a unit belong to one split. Beginning-of-text tokens and padding lie in no
 * segment: they are run through the model and never counted. */
#ifndef COMMON_CAPTURE_UNIT_H
#define COMMON_CAPTURE_UNIT_H

#include "common/evidence.h"

#include <stdint.h>

/* `length` tokens of one document at row `row`, position `start` of the unit. Windows are cut
 * at multiples of window_tokens from the segment's start, never across segments. */
struct capture_segment {
    uint32_t row;
    uint32_t start;
    uint32_t length;
    uint32_t document_index;
    uint32_t document_offset; /* of the segment's first token in its document */
    uint64_t document_key;    /* hash_name64(document id) */
};

struct capture_unit {
    uint64_t unit_number; /* unique within the sweep; settled first writer wins */
    enum evidence_split split;
    uint32_t n_rows;
    uint32_t row_tokens;
    uint32_t n_segments;
    const uint32_t *tokens;                 /* [n_rows, row_tokens], borrowed */
    const struct capture_segment *segments; /* [n_segments], borrowed; any order */
};

/* Segments inside the unit, not overlapping, keys consistent per document, document offsets
 * within 32 bits, no token of a document twice, at most EVIDENCE_MAX_UNIT_TOKENS tokens.
 * ST_BAD_INPUT (or ST_TOO_LARGE) names the segment. */
MUST_CHECK status_t capture_unit_check(const struct capture_unit *unit, struct error *err);

#endif
