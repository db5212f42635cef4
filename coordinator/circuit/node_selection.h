/* From a node sweep to a circuit: which components' removal changes the metric.
 *
 * effect of v on prompt i = m_i(M) - m_i(M without v), for every component, on search prompts.
 * A component is chosen when both hold:
 *   sure    its mean effect is a discovery by Benjamini and Hochberg (1995) at fdr_q over all
 *           components of the sweep, two-sided, from z = mean / standard error (cluster-robust,
 *           prompt_ratio.h; normal, which for a handful of prompts is too bold: the verdict on
 *           held-out prompts is what decides). So its 1 - fdr_q interval excludes 0.
 *   large   |mean effect| >= share_min |mean of m(M) - m(empty)|
 * and, where effects are taken signed, its mean is above 0: that loses negative heads. More than
 * max_nodes: the largest |mean|, of equal ones the first. An effect of exactly 0 on every prompt
 * has p = 1; one that is the same on every prompt and not 0 has p = 0.
 *
 * Searching again is free: the same rule on bootstraps of the units. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_NODE_SELECTION_H
#define COORDINATOR_CIRCUIT_NODE_SELECTION_H

#include "coordinator/circuit/component.h"
#include "coordinator/circuit/prompt_ratio.h"

/* A node sweep under one ablation value. Borrowed. */
struct node_effects {
    const struct component *components; /* [n], ascending, each once */
    size_t n;
    struct prompt_units units;
    const double *effects; /* [n, n_prompts] */
    const double *total;   /* [n_prompts] m(M) - m(empty) */
};

struct node_selection_params {
    double fdr_q;     /* 0.05 */
    double share_min; /* 0.02 */
    bool is_signed;   /* false */
    size_t max_nodes; /* 0: no limit */
};
struct node_selection_params node_selection_params_default(void);

struct node_effect {
    double mean;
    struct score_value standard_error;
    double p;
    bool is_chosen;
};

/* Two-sided; 1 of a mean of exactly 0 or without a standard error. */
double node_effect_p(double mean, struct score_value standard_error);

/* out [n]. Errors: ST_BAD_INPUT (params, units, components that do not ascend, a value that is
 * not finite), ST_NO_MEMORY. */
MUST_CHECK status_t node_selection(const struct node_effects *effects,
                                   const struct node_selection_params *params,
                                   struct node_effect *out, struct error *err);

/* The search run again on n_searches bootstraps of the units: is_chosen [n_searches, n]. Errors
 * as above. */
MUST_CHECK status_t node_selection_again(const struct node_effects *effects,
                                         const struct node_selection_params *params,
                                         size_t n_searches, uint64_t seed, bool *is_chosen,
                                         struct error *err);

/* circuit_stability() of those. Errors: ST_NO_MEMORY, ST_BAD_INPUT. */
MUST_CHECK status_t node_selection_stability(const struct node_effects *effects,
                                             const bool *is_chosen, size_t n_searches,
                                             struct score_value *out, struct error *err);

#endif
