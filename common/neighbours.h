/* What `neighbours` tasks carry: which slots of a dictionary, and the other slots whose decoder
 * rows point most nearly the same way (worker/model/nearest_directions.h).
 *
 *   unit    u32 target, u32 first slot, u32 n_slots                         little-endian
 *   answer  u32 n_slots, then of each slot EVIDENCE_NEIGHBOURS times: u32 slot, f32 cosine
 *
 * Nearest first, equal ones by slot; cosines are above 0 and at most 1. EVIDENCE_NO_SLOT with
 * cosine 0 fills up. Pure; any thread. */
#ifndef COMMON_NEIGHBOURS_H
#define COMMON_NEIGHBOURS_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/evidence.h"

#include <stddef.h>
#include <stdint.h>

enum { NEIGHBOURS_MAX_SLOTS = 4096, NEIGHBOURS_MAX_BYTES = 1024 * 1024 }; /* of a unit */

struct neighbours_unit {
    uint32_t target, first, n_slots;
};

struct neighbour {
    uint32_t slot;
    float cosine;
};

MUST_CHECK status_t neighbours_unit_encode(const struct neighbours_unit *unit, struct buffer *out,
                                           struct error *err);
/* Untrusted bytes. Errors: ST_CORRUPT; *out untouched. */
MUST_CHECK status_t neighbours_unit_decode(const void *bytes, size_t n_bytes,
                                           struct neighbours_unit *out, struct error *err);

/* `of` [n_slots, EVIDENCE_NEIGHBOURS]. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t neighbours_answer_encode(const struct neighbour *of, uint32_t n_slots,
                                             struct buffer *out, struct error *err);
/* Untrusted bytes, about the slots [first, first + n_slots) of a target of n_all: into `of`
 * [n_slots, EVIDENCE_NEIGHBOURS]. Errors: ST_CORRUPT (other slots than asked for, out of order,
 * a slot beside itself, a cosine that is none); `of` may then be half written. */
MUST_CHECK status_t neighbours_answer_decode(const void *bytes, size_t n_bytes,
                                             const struct neighbours_unit *asked, uint32_t n_all,
                                             struct neighbour *of, struct error *err);

#endif
