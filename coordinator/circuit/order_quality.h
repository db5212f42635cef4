/* An order by scores, and how good it was once exact effects are known. The order only orders; its
 * quality is told beside the verdict and has no say in it.
 *
 * Scores and effects count by size, whatever their sign. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_ORDER_QUALITY_H
#define COORDINATOR_CIRCUIT_ORDER_QUALITY_H

#include "coordinator/circuit/proposal_score.h"

#include <jansson.h>

/* order [n]: by the size of their scores, the largest first, ties as listed; those without a score
 * behind. *n_named: how many have one. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t order_by_size(const struct score_value *scores, size_t n, uint32_t *order,
                                  size_t *n_named, struct error *err);

struct ordered_items {
    const struct score_value *scores;  /* [n] */
    const struct score_value *effects; /* [n] undefined: not measured by itself */
    const bool *is_found;              /* [n] in the circuit */
    size_t n;
};
struct order_quality {
    struct score_value rank_correlation; /* Spearman's, of what has a score and an effect */
    size_t n_compared;                   /* how many these are */
    struct proposal_score found;         /* against the circuit */
};
MUST_CHECK status_t order_quality_measure(const struct ordered_items *items,
                                          struct order_quality *out, struct error *err);

/* {"n_ordered", "n_compared", "rank_correlation", "n_found", "precision" (of the first n_found),
 *  "auroc"}, null where undefined; the caller owns it. NULL without memory. */
json_t *order_quality_json(const struct order_quality *quality);

#endif
