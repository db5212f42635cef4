/* Does the search find the same circuit again? (statistics.md 4; Meloux et al.)
 *
 * The search is run on bootstraps of its prompts; stability is the mean, over all pairs of what
 * came out, of the Jaccard index |A and B| / |A or B|. Two empty sets are equal: 1. Works on sets
 * of components (component_compare_items) and of edges (circuit_edge_compare_items). Pure; any
 * thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_STABILITY_H
#define COORDINATOR_CIRCUIT_CIRCUIT_STABILITY_H

#include "coordinator/session/score.h"

/* One result: items in ascending order, each once. Borrowed. */
struct found_set {
    const void *items; /* [n] of item_size bytes */
    size_t n;
};

struct found_kind {
    size_t item_size;
    int (*compare)(const void *a, const void *b);
};

double circuit_jaccard(const struct found_set *a, const struct found_set *b,
                       const struct found_kind *kind);

/* Undefined with fewer than two sets. Errors: ST_BAD_INPUT (a set that does not ascend). */
MUST_CHECK status_t circuit_stability(const struct found_set *sets, size_t n_sets,
                                      const struct found_kind *kind, struct score_value *out,
                                      struct error *err);

#endif
