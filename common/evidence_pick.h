/* Choosing windows for prompts and scores: deterministic, and disjoint from what was used. */
#ifndef COMMON_EVIDENCE_PICK_H
#define COMMON_EVIDENCE_PICK_H

#include "common/evidence_view.h"

#include <stddef.h>
#include <stdint.h>

struct evidence_pick {
    size_t n;             /* how many are wanted */
    uint64_t seed;        /* same seed, same choice */
    float fire_threshold; /* windows with a smaller or equal maximum do not fire; usually 0 */
    const struct evidence_window *excluded; /* [n_excluded], never chosen; borrowed */
    size_t n_excluded;
};

/* Firing windows spread over the quantiles of the windows' maxima: one from each of n equal
 * parts of all firing windows, by the exact window counts per bin; a part whose bin is used up
 * takes from the nearest bin. out[n] gets indices for evidence_view_firing(), largest maximum
 * first, no index twice. Returns how many there are (fewer if the kept windows run out). */
size_t evidence_pick_quantiles(const struct evidence_view *view, const struct evidence_pick *pick,
                               size_t *out);

/* The first n top windows that are not excluded, as indices. */
size_t evidence_pick_top(const struct evidence_view *view, const struct evidence_pick *pick,
                         size_t *out);

/* The first n silent windows (or near misses, or neighbours' windows) that are not excluded.
 * Where the slot has a threshold that was not known yet at the capture (explain split of dense
 * units), kept windows whose maximum does not pass it serve as silent ones too. `out` has room
 * for n. */
size_t evidence_pick_silent(const struct evidence_view *view, const struct evidence_pick *pick,
                            struct evidence_window *out);
size_t evidence_pick_near_miss(const struct evidence_view *view, const struct evidence_pick *pick,
                               struct evidence_window *out);
size_t evidence_pick_neighbour(const struct evidence_view *view, const struct evidence_pick *pick,
                               struct evidence_window *out);

#endif
