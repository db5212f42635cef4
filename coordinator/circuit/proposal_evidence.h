/* What an agent is shown of what is known of the candidates: all of it, or, where that is more than
 * PROPOSAL_MAX_EVIDENCE lines, the strongest. Of heads those that attend most to one pattern; of
 * labels the supported ones first, then by their score. Neither crowds the other out: each has half
 * of the lines if it can fill them. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_PROPOSAL_EVIDENCE_H
#define COORDINATOR_CIRCUIT_PROPOSAL_EVIDENCE_H

#include "coordinator/circuit/proposal_prompt.h"

struct proposal_evidence {
    uint32_t
        *heads; /* [n_heads_shown] of the view's candidates, ascending; owned. A head at several
                        positions is there once */
    size_t n_heads, n_heads_shown;
    uint32_t *labels; /* [n_labels_shown] of the view's labels, ascending; owned */
    size_t n_labels, n_labels_shown;
};

/* On ST_OK the caller owns *out (fini). Errors: ST_NO_MEMORY. */
MUST_CHECK status_t proposal_evidence_choose(const struct proposal_view *view,
                                             struct proposal_evidence *out, struct error *err);
void proposal_evidence_fini(struct proposal_evidence *evidence); /* fine twice */

#endif
