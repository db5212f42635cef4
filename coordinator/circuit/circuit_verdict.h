/* Is a circuit believed? `verified`, `partial` or `rejected` (reference: statistics.md 4).
 *
 *   sufficiency = (m(C) - m(empty)) / (m(M) - m(empty))
 *   necessity   = (m(M) - m(M without C)) / (m(M) - m(empty))
 * as ratios of means over the verdict prompts. If |m(M) - m(empty)| is under `flat_errors`
 * standard errors (or they have none: one unit), every ratio is `undefined: flat metric`.
 *
 *   verified   under mean and under resample: the lower bounds of sufficiency and necessity
 *              reach ratio_min, both are above the random_quantile of the random circuits of the
 *              same size, each member's drop given the rest of its class ablated has an interval
 *              without 0; and stability reaches stability_min over enough searches
 *   rejected   under mean or resample, sufficiency or necessity is not above the random circuits
 *   partial    everything else; every failed condition is named
 *
 * Zero ablation is computed and shown, marked "off-distribution", and never decides. What was not
 * measured fails its condition by name. Pure; any thread; a value belongs to one. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_H
#define COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_H

#include "coordinator/circuit/circuit_measures.h"

enum circuit_outcome { CIRCUIT_VERIFIED, CIRCUIT_PARTIAL, CIRCUIT_REJECTED };
/* "verified", "partial", "rejected". */
const char *circuit_outcome_name(enum circuit_outcome outcome);

struct verdict_thresholds {
    double ratio_min;                  /* 0.8 */
    double random_quantile;            /* 0.95 */
    double stability_min;              /* 0.8 */
    double flat_errors;                /* 3 */
    uint32_t min_searches;             /* 20: of a node sweep */
    uint32_t min_adaptive;             /* 5: of an adaptive search */
    struct bootstrap_params bootstrap; /* 2,000 resamples, 95 %; the seed is the sweep's */
};
struct verdict_thresholds verdict_thresholds_default(uint64_t seed);

struct ratio_verdict {
    struct ratio_estimate of_means;  /* the headline */
    struct ratio_spread by_prompt;   /* mean of ratios, quantiles */
    struct score_value random_limit; /* random_quantile of the random circuits' */
    struct score_value percentile; /* 0..100: share of random circuits below, ties counting half */
    bool is_above_random;
};

struct member_verdict {
    struct ratio_estimate drop;        /* m(M) - m(M without it) */
    struct ratio_estimate conditional; /* m(M without the rest of its class) - m(without it too) */
    bool is_conditional_clear;         /* its interval does not contain 0 */
    struct score_value minimality; /* max |m(C without K) - m(C without K and it)|, over |m(M)| */
};

struct value_verdict {
    bool is_measured;
    struct ablation_method method;
    double empty, circuit, complement; /* means */
    double difference;                 /* m(M) - m(empty) */
    struct score_value standard_error; /* of that */
    bool is_flat;
    struct ratio_verdict sufficiency, necessity;
    struct score_value completeness; /* max over subsets K of |m(C without K) - m(M without K)| */
    struct score_value completeness_share; /* of |m(M) - m(empty)| */
    size_t completeness_subset;            /* the K of the maximum */
    size_t n_subsets, n_random;
    bool is_random_exhaustive;
    bool has_kl;
    struct ratio_estimate kl_sufficiency; /* 1 - KL(M, C) / KL(M, empty) */
    double kl_mean, kl_median, kl_max;    /* of KL(M, C), in nats */
    bool has_drops, has_conditional;
    struct member_verdict *members; /* [n_members], owned */
    /* Of the first candidates in the order of the search's effects; they decide nothing. */
    bool has_curves; /* false: nothing was searched, so nothing ordered them */
    size_t curve_items[CURVE_N_FRACTIONS];
    struct faithfulness_curve curves[CURVE_N_ORDERS];
};

struct circuit_verdict {
    enum circuit_outcome outcome;
    char **reasons; /* [n_reasons], owned: every failed condition, one line each */
    size_t n_reasons;
    enum circuit_metric metric;
    size_t n_prompts, n_units, n_members;
    bool is_by_template;
    double full; /* m(M) */
    struct value_verdict values[ABLATE_N_VALUES];
    struct score_value stability;
    size_t n_researches;
    bool is_adaptive_search;
    struct verdict_thresholds thresholds;
};

/* On ST_OK the caller owns *out, otherwise it is untouched. Errors: ST_BAD_INPUT (measures that
 * circuit_measures_check() refuses, thresholds out of range), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_verdict_decide(const struct circuit_measures *measures,
                                           const struct verdict_thresholds *thresholds,
                                           struct circuit_verdict *out, struct error *err);
void circuit_verdict_fini(struct circuit_verdict *verdict); /* fine twice */

#endif
