/* The foreign-label null: what a judge gives to labels that are wrong.
 *
 * The same judge scores feature f's test windows with the label of another feature g of the same
 * firing-density decile. The scores of many such pairs, pooled, say how well a label does that
 * has nothing to do with the feature (reference: statistics.md 3). Pairs are chosen here, scored
 * by the session's owner, and come back as an array of scores.
 *
 * Pure functions; a model belongs to one thread. */
#ifndef COORDINATOR_SESSION_NULL_MODEL_H
#define COORDINATOR_SESSION_NULL_MODEL_H

#include "coordinator/session/score.h"

/* --- which pairs --------------------------------------------------------------------------- */

struct null_pair {
    uint32_t feature; /* index: whose windows */
    uint32_t foreign; /* index: whose label; never the same */
};

struct null_pairs_params {
    uint64_t seed;
    uint64_t score_type;      /* another type, other pairs */
    uint32_t n_pairs;         /* of a sweep of at least n_pairs / min_per_feature features: 1,000 */
    uint32_t min_per_feature; /* in smaller sweeps: 5 */
};
struct null_pairs_params null_pairs_params_default(uint64_t seed, uint64_t score_type);

/* Choose pairs among n_features features that have a label and are scored, given their firing
 * densities. A sweep of 200 features or more gets n_pairs, spread as evenly as can be over
 * features drawn at random; a smaller one min_per_feature for each. No pair twice. Where a
 * decile is too small, the features nearest to it in density join. Fewer pairs come out when
 * there are not enough features. Sorted by (feature, foreign); the caller frees *out. Errors:
 * ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t null_pairs_choose(const double *density, size_t n_features,
                                      const struct null_pairs_params *params,
                                      struct null_pair **out, size_t *n_out, struct error *err);

/* --- what they say -------------------------------------------------------------------------- */

struct null_model {
    double *sorted; /* [n_scores], ascending, owned */
    size_t n_scores;
    double mean;
    double sd;        /* with n - 1; 0 for fewer than two */
    bool is_constant; /* at least two scores, all equal: the judge always says the same */
};

/* Errors: ST_BAD_INPUT (a score that is not finite), ST_NO_MEMORY. */
MUST_CHECK status_t null_model_init(struct null_model *out, const double *scores, size_t n_scores,
                                    struct error *err);
void null_model_fini(struct null_model *model); /* fine twice */

/* (score - mean) / sd; undefined with fewer than two scores or a constant judge. */
struct score_value null_model_z(const struct null_model *model, double score);
/* (1 + number of null scores >= score) / (1 + n). 1 without scores. */
double null_model_p(const struct null_model *model, double score);

/* Benjamini and Hochberg (1995): is_discovery[i] where p[i] is at most the largest p_(k) with
 * p_(k) <= k q / n. Errors: ST_BAD_INPUT (p or q outside [0, 1]), ST_NO_MEMORY. */
MUST_CHECK status_t null_benjamini_hochberg(const double *p, size_t n, double q, bool *is_discovery,
                                            struct error *err);

#endif
