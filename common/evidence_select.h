/* Which firing windows of a slot are kept: the top_k of largest maximum, and in every reservoir
 * bin the bin_k of smallest key. The worker applies it to a unit, the merge to what it has plus
 * what arrives; both are the same function of the set of windows, so nothing depends on order:
 * a window dropped from a subset can never be among the kept of the whole. */
#ifndef COMMON_EVIDENCE_SELECT_H
#define COMMON_EVIDENCE_SELECT_H

#include "common/evidence.h"
#include "common/evidence_bins.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evidence_candidate {
    uint64_t key;
    float max_value; /* > 0 */
    uint32_t document_index;
    uint32_t source; /* the caller's */
    bool is_kept;
};

/* Total order by which windows are ranked: maximum descending, then key, then document (two
 * documents may bear one name). Equal only for the same window. */
static inline bool evidence_candidate_before(const struct evidence_candidate *a,
                                             const struct evidence_candidate *b)
{
    if (a->max_value != b->max_value) return a->max_value > b->max_value;
    if (a->key != b->key) return a->key < b->key;
    return a->document_index < b->document_index;
}

/* Sort candidates[n] by that order (in place); scratch[n] is overwritten. */
void evidence_candidates_sort(struct evidence_candidate *candidates, size_t n,
                              struct evidence_candidate *scratch);

/* The same for candidates whose first n_sorted are in order already. */
void evidence_candidates_merge(struct evidence_candidate *candidates, size_t n_sorted, size_t n,
                               struct evidence_candidate *scratch);

/* Set is_kept for sorted candidates; a repeated window is kept once. Returns how many are. */
size_t evidence_candidates_select(struct evidence_candidate *candidates, size_t n,
                                  const struct evidence_limits *limits);

/* The end of the run of sorted candidates from `start` that share its reservoir bin. */
static inline size_t evidence_bin_end(const struct evidence_candidate *candidates, size_t n,
                                      size_t start)
{
    const uint32_t bin = evidence_reservoir_bin(candidates[start].max_value);
    size_t end = start + 1;
    while (end < n && evidence_reservoir_bin(candidates[end].max_value) == bin) end++;
    return end;
}

/* The k smallest of candidates[n] by (key, document): their indices in that order into out[k].
 * Returns how many there are, at most k <= EVIDENCE_MAX_BIN_K. */
size_t evidence_smallest_keys(const struct evidence_candidate *candidates, size_t n, uint32_t k,
                              size_t *out);

/* Insert into the list of the at most k candidates of smallest (key, document), ascending; a
 * window that is there already is not taken twice. False if it did not enter. */
bool evidence_insert_smallest(struct evidence_candidate *list, size_t *n, size_t k,
                              const struct evidence_candidate *candidate);

#endif
