/* Estimates from per-prompt values, and how sure they are.
 *
 * Everything that a verdict says is one of two shapes, over prompts i:
 *   ratio of means   sum(numerator_i) / sum(denominator_i)
 *   mean             sum(numerator_i) / n
 * Prompts fall into units (templates, or each its own: prompt_set_units); intervals are
 * percentile bootstraps over units (session/bootstrap.h), standard errors cluster-robust:
 *   se^2 = G / (G - 1) sum_g (sum of (x_i - mean) over unit g)^2 / n^2,  G units
 * which for units of one prompt is the usual s^2 / n.
 *
 * The same params give the same resamples: intervals of one verdict are paired. Undefined is a
 * state (struct score_value, struct interval), never 0 and never NaN. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_PROMPT_RATIO_H
#define COORDINATOR_CIRCUIT_PROMPT_RATIO_H

#include "coordinator/session/bootstrap.h"

enum { RATIO_N_QUANTILES = 5 };
/* 0.05, 0.25, 0.5, 0.75, 0.95 */
extern const double RATIO_QUANTILES[RATIO_N_QUANTILES];

struct prompt_units {
    const uint32_t *unit_of; /* [n_prompts], below n_units; every unit has a prompt */
    size_t n_prompts;
    size_t n_units;
};

/* Errors: ST_BAD_INPUT (no prompt, a unit out of range or without a prompt), ST_NO_MEMORY. */
MUST_CHECK status_t prompt_units_check(const struct prompt_units *units, struct error *err);

double prompt_mean(const double *values, size_t n_prompts); /* 0 of none */

/* Of the mean of values [n_prompts]; undefined with fewer than two units. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t prompt_standard_error(const struct prompt_units *units, const double *values,
                                          struct score_value *out, struct error *err);

/* sum(numerator) / sum(denominator), both [n_prompts]; denominator NULL: a mean. Undefined where
 * the denominator adds up to 0. Errors: ST_BAD_INPUT (params),
 * ST_NO_MEMORY. */
struct ratio_estimate {
    struct score_value value;
    struct interval interval;
};
MUST_CHECK status_t prompt_ratio(const struct prompt_units *units, const double *numerator,
                                 const double *denominator, const struct bootstrap_params *params,
                                 struct ratio_estimate *out, struct error *err);

/* numerator_i / denominator_i prompt by prompt, where the denominator is not 0. */
struct ratio_spread {
    size_t n_prompts; /* that have a ratio */
    struct score_value mean;
    double quantiles[RATIO_N_QUANTILES]; /* 0 unless mean is defined */
};
MUST_CHECK status_t prompt_ratio_spread(const double *numerator, const double *denominator,
                                        size_t n_prompts, struct ratio_spread *out,
                                        struct error *err);

#endif
