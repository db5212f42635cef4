/* Which labels of a sweep may be believed (reference: statistics.md 3).
 *
 *   supported = status open or token, enough rounds and the adversarial round passed (agentic
 *   mode), z >= 3 against the foreign-label null, and a discovery by Benjamini-Hochberg over the
 *   sweep at q = 0.05, all on test windows.
 *
 * A null so wide or so high that a score of 1 stays below z_min, or with so few scores that the
 * least p, 1 / (1 + N), is above q, lets no label pass: what fails by it is SUPPORT_HOPELESS, and
 * says that the null is at fault and not the label.
 *
 * The first thing that is missing, in the order below, is the verdict; so a judge that always
 * says the same makes every eligible label SUPPORT_JUDGE_CONSTANT. Benjamini-Hochberg runs over
 * the eligible labels: those of a status that can be supported, with a defined score. Once per
 * sweep and score. Pure; any thread. */
#ifndef COORDINATOR_SESSION_SUPPORT_H
#define COORDINATOR_SESSION_SUPPORT_H

#include "coordinator/session/null_model.h"
#include "coordinator/session/triage.h"

enum support_verdict {
    SUPPORT_SUPPORTED,
    SUPPORT_STATUS,   /* dead, insufficient, dense or position */
    SUPPORT_NO_SCORE, /* undefined */
    SUPPORT_NO_NULL,  /* fewer than two null scores */
    SUPPORT_JUDGE_CONSTANT,
    SUPPORT_ROUNDS,      /* fewer than rounds.min */
    SUPPORT_ADVERSARIAL, /* the adversarial round was not passed */
    SUPPORT_HOPELESS,    /* not even a score of 1 would have been enough against this null */
    SUPPORT_Z,
    SUPPORT_FALSE_DISCOVERY
};

/* "supported", "unsupported: judge is constant", ... */
const char *support_verdict_text(enum support_verdict verdict);

struct support_claim {
    enum feature_status status;
    struct score_value score;
    bool is_agentic; /* then the next two count */
    bool had_enough_rounds;
    bool passed_adversarial;
};

struct support_thresholds {
    double z_min; /* 3 */
    double fdr_q; /* 0.05 */
};
struct support_thresholds support_thresholds_default(void);

struct support {
    enum support_verdict verdict;
    struct score_value z; /* undefined without a score or a null */
    struct score_value p;
};

/* Decide all claims of a sweep for one score; out [n_claims]. Errors: ST_BAD_INPUT (q, a score
 * that is not finite), ST_NO_MEMORY. */
MUST_CHECK status_t support_decide(const struct support_claim *claims, size_t n_claims,
                                   const struct null_model *null,
                                   const struct support_thresholds *thresholds, struct support *out,
                                   struct error *err);

#endif
