/* Which windows of validate, test or an out-of-distribution corpus are scored.
 *
 *   pool (evidence of one split)
 *     - windows of a document that explain windows come from: a leak, dropped and counted
 *     - windows whose kind is not true by their own activations: dropped and counted
 *     - near-duplicates of any explain window of the feature: dropped and counted
 *     -> firing: one from each of n equal parts of the firing windows by maximum
 *     -> hard ones (near misses, windows of neighbours; one kind short: more of the other),
 *        then random negatives, in seeded order
 *
 * No two chosen windows overlap. Documents are used once where there are enough of them;
 * n_shared_documents says how many windows had to come from a document already in use. Give the
 * pool about three times what is wanted. The choice depends on the set of windows and the seed,
 * never on their order. Pure; any thread. */
#ifndef COORDINATOR_SESSION_WINDOW_SELECT_H
#define COORDINATOR_SESSION_WINDOW_SELECT_H

#include "coordinator/session/window.h"

struct window_select_params {
    size_t n_wanted[WINDOW_N_KINDS]; /* 20 firing, 20 random, 10 and 10 hard ones by default */
    double near_duplicate_jaccard;   /* 0.8 */
    uint64_t seed;                   /* of the sweep */
    uint64_t feature;
};
struct window_select_params window_select_params_default(uint64_t seed, uint64_t feature);

struct window_selection {
    struct window *windows; /* [n_windows], owned; what they point at is borrowed from the pool.
                               Firing (largest maximum first), random, hard. */
    size_t n_windows;
    size_t n_of_kind[WINDOW_N_KINDS];
    size_t n_near_duplicates; /* dropped */
    size_t n_leaked;          /* dropped: 0 unless a split was broken upstream */
    size_t n_mislabelled;     /* dropped: called silent but fires, or the other way round */
    size_t n_shared_documents;
};

/* On ST_OK the caller owns *out (window_selection_fini). Fewer windows than wanted is no error:
 * see n_of_kind. Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t window_select(const struct window *explain, size_t n_explain,
                                  const struct window *pool, size_t n_pool,
                                  const struct window_select_params *params,
                                  struct window_selection *out, struct error *err);
void window_selection_fini(struct window_selection *selection); /* fine twice */

#endif
