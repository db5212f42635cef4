/* What can still enter a merged state, slot by slot: sent to workers with their next units.
 *
 * Cut-offs only tighten while units are merged, so a worker that drops by old ones drops only
 * what the merge would drop itself: the merged result never depends on them. They are rounded
 * towards keeping: the top value to 16 bits, sampling keys to 16 or 8 bits of a logarithm.
 * About 0.5 MB for 16,384 slots, at most 1.2 MB. */
#ifndef COMMON_EVIDENCE_THRESHOLDS_H
#define COMMON_EVIDENCE_THRESHOLDS_H

#include "common/buffer.h"
#include "common/evidence.h"
#include "common/evidence_cuts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evidence_thresholds; /* opaque, immutable once made */
struct evidence_state;

/* The present cut-offs of a state that covers all slots of its target. On ST_OK the caller owns
 * *out. Errors: ST_BAD_INPUT (the state covers only some slots), ST_NO_MEMORY. */
MUST_CHECK status_t evidence_thresholds_create(struct evidence_thresholds **out,
                                               const struct evidence_state *state,
                                               struct error *err);
void evidence_thresholds_destroy(struct evidence_thresholds **thresholds); /* NULL-safe */

MUST_CHECK status_t evidence_thresholds_encode(const struct evidence_thresholds *thresholds,
                                               struct buffer *out, struct error *err);
/* Untrusted bytes. Errors: ST_PROTOCOL (version), ST_CORRUPT, ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t evidence_thresholds_decode(const void *bytes, size_t n_bytes,
                                               struct evidence_thresholds **out, struct error *err);

/* Whose cut-offs these are. */
const struct evidence_identity *evidence_thresholds_identity(
    const struct evidence_thresholds *thresholds);

/* `slot` is absolute and in range. NULL has no cut-offs: everything can enter. */
struct evidence_cuts evidence_thresholds_cuts(const struct evidence_thresholds *thresholds,
                                              uint32_t slot);

/* Could a firing window of this maximum and key enter the slot's top or its bin? The asked slot
 * is absolute and in range, here and below. */
bool evidence_thresholds_keep_firing(const struct evidence_thresholds *thresholds, uint32_t slot,
                                     float max_value, uint64_t key);
/* Largest key that can enter the slot's silent windows, near misses, neighbours' windows,
 * documents. */
uint64_t evidence_thresholds_silent(const struct evidence_thresholds *thresholds, uint32_t slot);
uint64_t evidence_thresholds_near_miss(const struct evidence_thresholds *thresholds, uint32_t slot);
uint64_t evidence_thresholds_neighbour(const struct evidence_thresholds *thresholds, uint32_t slot);
uint64_t evidence_thresholds_document(const struct evidence_thresholds *thresholds, uint32_t slot);

#endif
