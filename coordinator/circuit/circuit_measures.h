/* What was measured of a circuit: one metric value a prompt, on held-out prompts, for every run
 * that a verdict needs. M is the whole model, C the circuit, "without X" means X ablated.
 *
 * All arrays are borrowed and row-major, one row of n_prompts a run, prompts in the same order
 * everywhere. NULL (with a count of 0 where there is one) means not measured: what depends on it
 * is then undefined, and a verdict that needs it is not `verified`. With the metric KL a value is
 * KL(M, run) and `full` is all zeros: the same formulas hold then (sufficiency is
 * 1 - KL(M, C) / KL(M, empty)). Plain data. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_MEASURES_H
#define COORDINATOR_CIRCUIT_CIRCUIT_MEASURES_H

#include "coordinator/circuit/ablation_method.h"
#include "coordinator/circuit/circuit.h"
#include "coordinator/circuit/circuit_metric.h"
#include "coordinator/circuit/faithfulness_curve.h"
#include "coordinator/circuit/prompt_ratio.h"

/* Under one ablation value. */
struct value_measures {
    bool is_measured; /* then empty, circuit and complement are there */
    struct ablation_method method;
    const double *empty;      /* [n_prompts] everything ablated */
    const double *circuit;    /* [n_prompts] all but C ablated */
    const double *complement; /* [n_prompts] M without C */

    /* Row m: node m of the circuit. */
    const double *without_member;     /* [n_members, n_prompts] */
    const double *without_class_rest; /* [n_members, n_prompts] its class but not it; for a class
                                         of one that is `full` again */
    const double *without_class;      /* [n_members, n_prompts] it and the rest of its class */

    /* Sampled subsets K of C (Wang's completeness). */
    size_t n_subsets;
    const double *circuit_without_subset; /* [n_subsets, n_prompts] */
    const double *model_without_subset;   /* [n_subsets, n_prompts] */

    /* Wang's minimality: member v and a subset K of C without v, inside the circuit. */
    size_t n_minimality;
    const uint32_t *minimality_member;       /* [n_minimality] v, a node index */
    const double *minimality_without_subset; /* [n_minimality, n_prompts] C without K */
    const double *minimality_without_both;   /* [n_minimality, n_prompts] C without K and v */

    /* Random circuits of the same size (random_circuits.h); never C itself. */
    size_t n_random;
    const double *random_circuit;    /* [n_random, n_prompts] */
    const double *random_complement; /* [n_random, n_prompts] M without it */
    bool is_random_exhaustive;       /* these are all that there are */

    /* Circuits of the first candidates in the order of their effects. 0: nothing ordered them. */
    size_t n_curve_candidates;
    const double *curve[CURVE_N_ORDERS]; /* [CURVE_N_FRACTIONS, n_prompts], by order */

    const double *kl_circuit; /* [n_prompts] KL(M, C), beside another metric */
    const double *kl_empty;   /* [n_prompts] */
};

struct circuit_measures {
    const struct circuit *circuit; /* finished; its nodes are the members */
    enum circuit_metric metric;
    struct prompt_units units;
    bool is_by_template; /* units are templates */
    const double *full;  /* [n_prompts] */
    struct value_measures values[ABLATE_N_VALUES];
    size_t n_researches;
    bool is_adaptive_search;      /* then fewer searches are asked for */
    bool is_brought;              /* no search found the circuit: there is no stability */
    struct score_value stability; /* circuit_stability() of the searches run again */
};

/* The number of members: nodes of the circuit. */
static inline size_t circuit_measures_n_members(const struct circuit_measures *measures)
{
    return measures->circuit->n_nodes;
}

/* Every array that a count promises is there, and every number finite. Errors: ST_BAD_INPUT,
 * naming value, array, row and prompt. */
MUST_CHECK status_t circuit_measures_check(const struct circuit_measures *measures,
                                           struct error *err);

#endif
