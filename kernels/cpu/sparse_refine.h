/* From masks of candidate pairs to firing features: the exact dot, the rule of the dictionary's
 * architecture, the top k of each token, and rows in the end. One encoder's; private to
 * kernels/cpu. */
#ifndef KERNELS_CPU_SPARSE_REFINE_H
#define KERNELS_CPU_SPARSE_REFINE_H

#include "kernels/cpu/sparse_weights.h"

enum { SPARSE_BLOCK = 1024 }; /* tokens refined together: their rows fit a level-2 cache */

struct fired {
    uint32_t token, feature; /* token within the block */
    float value;
};

/* A token's best k so far: a heap with the worst on top (lowest value, then highest feature). */
struct best {
    struct fired *heap; /* [k] */
    size_t n;
};

struct refiner {
    const struct sparse *sparse;
    const uint32_t *selected; /* one bit a feature that is wanted; NULL: all */
    struct fired *fired;      /* [n_fired] in order of feature, growable */
    size_t n_fired, capacity;
    struct best *best; /* [SPARSE_BLOCK] for topk */
    struct fired *heaps;
    uint32_t *queue; /* [SPARSE_PANEL, SPARSE_BLOCK]: tokens to compute per feature */
    uint64_t n_candidates;
    /* rows of all blocks of the run: */
    struct sparse_rows rows;
    size_t rows_capacity, entries_capacity;
};

/* `sparse` and `selected` are borrowed. */
MUST_CHECK status_t refiner_init(struct refiner *r, const struct sparse *sparse,
                                 const uint32_t *selected, struct error *err);
void refiner_fini(struct refiner *r); /* safe on zeroed */

/* Begin a run of n_tokens: rows empty. */
MUST_CHECK status_t refiner_begin(struct refiner *r, size_t n_tokens, struct error *err);

/* Some tokens of the block. */
struct refine_tokens {
    const float *x; /* [n_tokens, n_row] */
    float *floor;   /* [n_tokens]: for topk rises to the token's k-th best value */
    size_t first;   /* place of the first one in the block */
    size_t n_tokens;
};

/* Compute the candidates of panel `panel` (bit f of masks[t], t within `tokens`) exactly.
 * Errors: ST_BAD_INPUT (an activation overflows; names the token), ST_NO_MEMORY. */
MUST_CHECK status_t refiner_panel(struct refiner *r, size_t panel, const uint32_t *masks,
                                  const struct refine_tokens *tokens, struct error *err);

/* End a block of n_tokens: append its rows. */
MUST_CHECK status_t refiner_collect(struct refiner *r, size_t n_tokens, struct error *err);

#endif
