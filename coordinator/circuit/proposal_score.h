/* Proposals from outside (an agent's, a method's by attribution): they order a search, and are
 * scored afterwards against what it found. Neither has any say in the verdict.
 *
 * A ranking is a list of candidates, the most promising first; what it does not name is behind
 * all that it does, tied. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_PROPOSAL_SCORE_H
#define COORDINATOR_CIRCUIT_PROPOSAL_SCORE_H

#include "coordinator/circuit/component.h"
#include "coordinator/session/score.h"

struct proposal_ranking {
    const struct component *proposed; /* [n_proposed], most promising first; repeats are skipped */
    size_t n_proposed;
    const struct component *candidates; /* [n], ascending, each once */
    size_t n;
};

/* order [n]: candidates as proposed, then the others as they are listed: what node_search takes.
 * n_named: how many were proposed; n_unknown: proposals that are no candidates. Errors:
 * ST_NO_MEMORY. */
struct proposal_order {
    uint32_t *order; /* [n], the caller's */
    size_t n_named, n_unknown;
};
MUST_CHECK status_t proposal_order(const struct proposal_ranking *ranking,
                                   struct proposal_order *out, struct error *err);

struct proposal_score {
    size_t n_named;                     /* candidates proposed */
    size_t n_found;                     /* candidates in the circuit */
    size_t n_right;                     /* both */
    struct score_value precision;       /* n_right / n_named; undefined without proposals */
    struct score_value recall;          /* n_right / n_found; undefined where nothing was found */
    struct score_value precision_first; /* of the first n_found proposals: right ones / n_found */
    struct score_value auroc; /* that a found candidate ranks before one that is not, ties half */
};

/* Of an order [n] whose first n_named are proposals, against is_found [n candidates]. Errors:
 * ST_BAD_INPUT (n_named over n, an order that is no permutation), ST_NO_MEMORY. */
struct proposal_order_view {
    const uint32_t *order; /* [n] */
    size_t n_named, n;
};
MUST_CHECK status_t proposal_score(const struct proposal_order_view *order, const bool *is_found,
                                   struct proposal_score *out, struct error *err);

#endif
