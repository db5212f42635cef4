/* How much the metric drops when more is ablated, estimated over units that may be weighed: with
 * every weight 1 it is the estimate of node_selection.h, with the weights of a bootstrap that of
 * the same search run again. Pure; a sample belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_PAIRED_EFFECT_H
#define COORDINATOR_CIRCUIT_PAIRED_EFFECT_H

#include "coordinator/circuit/node_selection.h"

struct effect_sample {
    struct prompt_units units; /* borrowed */
    bool is_divergence;        /* of KL a rise is what a drop is of other metrics */
    double *weights;           /* [n_units], owned: how often a unit counts */
    double *sizes;             /* [n_units] prompts; in the block of weights, like the next */
    double *sums;              /* [n_units] scratch */
    double *drops;             /* [n_prompts] scratch of the caller */
    double n_drawn, n_prompts; /* with the weights */
};

/* number 0: every unit once; number s > 0: the s-th bootstrap of a seed, the one that
 * node_selection_again() draws for its search s - 1. On ST_OK the caller owns *out. Errors:
 * ST_BAD_INPUT (units), ST_NO_MEMORY. */
MUST_CHECK status_t effect_sample_init(struct effect_sample *out, const struct prompt_units *units,
                                       uint64_t seed, uint64_t number, struct error *err);
void effect_sample_fini(struct effect_sample *sample); /* fine twice */

/* Of drops [n_prompts]; is_chosen is false. */
struct node_effect effect_of_drops(const struct effect_sample *sample, const double *drops);

/* Of before - after (KL: after - before), both [n_prompts]. */
struct node_effect effect_between(const struct effect_sample *sample, const double *before,
                                  const double *after);

/* Of what ablating two together drops beyond both alone; above 0: they stand in for one another.
 * KL grows with the square of a shift, so its roots are compared. */
struct pair_values {
    const double *full, *first, *second, *both; /* [n_prompts] each */
};
struct node_effect effect_beyond_sum(const struct effect_sample *sample,
                                     const struct pair_values *pair);

/* The mean of values, weighed. */
double effect_sample_mean(const struct effect_sample *sample, const double *values);

#endif
