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
#include "common/evidence_bins.h"

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

/* The cut-offs of one slot, laid open for whoever asks about many windows of it. */
struct evidence_cuts {
    uint32_t top_bits;  /* a maximum of at least these float bits can enter the top */
    uint32_t first_bin; /* only bins [first_bin, first_bin + n_bins) have a limit */
    uint32_t n_bins;
    const uint8_t *bin_limit;                        /* [n_bins] codes, the thresholds' */
    bool has_samples;                                /* bins hold windows at all */
    uint64_t silent, near_miss, neighbour, document; /* largest keys that can enter */
};

/* `slot` is absolute and in range. NULL has no cut-offs: everything can enter. */
struct evidence_cuts evidence_thresholds_cuts(const struct evidence_thresholds *thresholds,
                                              uint32_t slot);

/* Largest key of a bin limit's code (3 bits below the leading one, octaves 32 to 63). */
static inline uint64_t evidence_bin_limit_end(uint8_t code)
{
    return ((UINT64_C(9) + (code & 7u)) << (29u + (code >> 3))) - 1u; /* 255: 2^64 - 1 */
}

/* Could a firing window of this maximum, reservoir bin and key enter the slot's top or bin? */
static inline bool evidence_cuts_keep(const struct evidence_cuts *cuts, float max_value,
                                      uint32_t bin, uint64_t key)
{
    if (evidence_float_bits(max_value) >= cuts->top_bits) return true;
    if (!cuts->has_samples) return false;
    if (bin - cuts->first_bin >= cuts->n_bins) return true; /* also a bin below the first */
    return key <= evidence_bin_limit_end(cuts->bin_limit[bin - cuts->first_bin]);
}

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
