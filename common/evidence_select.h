/* Which firing windows of a slot are kept: the top_k of largest maximum, and in every reservoir
 * bin the bin_k of smallest key.
 *
 * The list is ordered by (maximum descending, key, document); each entry says whether it is in
 * its bin's sample, so that one insertion touches its bin and the end of the top only. The
 * result is a function of the set of windows inserted: a window that is dropped at any moment
 * could never come back, since the top only rises and the bins only tighten. The worker applies
 * it to a unit, the merge to what it has plus what arrives. */
#ifndef COMMON_EVIDENCE_SELECT_H
#define COMMON_EVIDENCE_SELECT_H

#include "common/evidence.h"
#include "common/evidence_bins.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVIDENCE_MAX_FIRING = EVIDENCE_MAX_TOP_K + EVIDENCE_RESERVOIR_BINS * EVIDENCE_MAX_BIN_K };

/* A firing window. What order it has follows from key, max_value and document_index. */
struct evidence_firing {
    uint64_t key;
    float max_value; /* > 0 */
    uint32_t document_index, document_offset;
    uint32_t first; /* of its activations, or another number of the caller's */
    uint16_t n_tokens, n_activations;
    bool is_sampled; /* in its bin's sample */
};

/* Something ranked by its key alone. */
struct evidence_keyed {
    uint64_t key;
    uint32_t document_index;
    uint32_t source; /* the caller's */
};

/* Insert into the list of kept windows, which has room for one more (EVIDENCE_MAX_FIRING + 1 are
 * always enough); a window that is there already is not taken twice. False if it did not enter. */
bool evidence_insert_firing(struct evidence_firing *list, size_t *n,
                            const struct evidence_limits *limits,
                            const struct evidence_firing *firing);

/* Insert into the list of the at most k items of smallest (key, document), ascending. False if
 * it did not enter. */
bool evidence_insert_smallest(struct evidence_keyed *list, size_t *n, size_t k,
                              const struct evidence_keyed *item);

#endif
