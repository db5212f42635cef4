/* The stored form of merged evidence: a block of slots of one split, in canonical bytes (equal
 * evidence, equal bytes, whatever the order of the merges). Blocks reload into a state, which
 * can then be read, or merged with further units. Layout: EVIDENCE.md. */
#ifndef COMMON_EVIDENCE_BLOCK_H
#define COMMON_EVIDENCE_BLOCK_H

#include "common/buffer.h"
#include "common/evidence.h"
#include "common/evidence_state.h"

#include <stddef.h>
#include <stdint.h>

enum {
    EVIDENCE_BLOCK_SLOTS = 256, /* the usual block */
    EVIDENCE_MAX_BLOCK_BYTES = 256 << 20
};

/* Append the block of slots [first_slot, first_slot + n_slots), absolute and inside the state's
 * range, not compressed. Errors: ST_BAD_INPUT, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t evidence_block_encode(const struct evidence_state *state, uint32_t first_slot,
                                          uint32_t n_slots, struct buffer *out, struct error *err);

/* Whose block this is. `params->documents` is set to NULL: fill it in, then pass the params to
 * evidence_state_create() for a state of just this block. Errors: ST_PROTOCOL, ST_CORRUPT. */
MUST_CHECK status_t evidence_block_peek(const void *bytes, size_t n_bytes,
                                        struct evidence_state_params *params, struct error *err);

/* Load a block (untrusted bytes) into a state of the same identity whose range holds it and
 * whose slots of that range are empty. The blocks of one state must stem from the same merged
 * units: their totals must agree. Errors: ST_PROTOCOL, ST_CORRUPT, ST_CONFLICT (identity,
 * totals, slots not empty, range), state unchanged; ST_NO_MEMORY: destroy the state. */
MUST_CHECK status_t evidence_block_load(struct evidence_state *state, const void *bytes,
                                        size_t n_bytes, struct error *err);

#endif
