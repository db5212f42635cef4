/* Which runs of the model a verdict needs, and where their values go (circuit_measures.h).
 *
 * The same sets serve every ablation value. Each is listed once, however many rows of the
 * measures it gives; the run of nothing ablated is `full` and not listed. With C the circuit:
 *
 *   empty                     all candidates
 *   circuit                   all but C
 *   complement                C
 *   members                   each alone, the rest of its class, its class
 *   subsets K                 every class, and n_subsets drawn ones: in C and in the whole model
 *   minimality                each member with K nothing, the rest of its class, and n_minimality
 *                             drawn subsets of the others, inside C
 *   random circuits           n_random, each as `circuit` and as `complement`
 *   curves                    all but the first int(k n) candidates in the order of `effects`, for
 *                             every fraction k of faithfulness_curve.h, signed and absolute
 *
 * Where edges are claimed, a circuit is its edges: run alone, all else of edge_candidates() among
 * its nodes is ablated too, and what has it ablated has its edges ablated and no node. Members,
 * classes and subsets stay nodes. Where candidates are at named positions, a node is a component
 * at one of them, everything else of it is left alone, and random circuits keep the positions of
 * the circuit. Equal parameters, equal plan. Pure; a value belongs to one
 * thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_PLAN_H
#define COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_PLAN_H

#include "coordinator/circuit/circuit_measures.h"
#include "coordinator/circuit/random_circuits.h"
#include "coordinator/circuit/search_variant.h"

struct verdict_plan_params {
    const struct circuit *circuit;        /* finished; borrowed by create */
    struct circuit_candidates candidates; /* ascending; its nodes are among them; borrowed */
    const double *effects; /* [candidates.n] that order them; NULL: no curves; borrowed */
    bool is_parallel;      /* model_shape; read where edges are claimed */
    uint64_t seed;
    size_t n_random;     /* RANDOM_CIRCUITS_DEFAULT */
    size_t n_subsets;    /* 16: drawn, beside the classes */
    size_t n_minimality; /* 4: drawn, of each member */
};
struct verdict_plan_params verdict_plan_params_default(uint64_t seed);

struct circuit_verdict_plan;

/* On ST_OK the caller owns *out. Errors: ST_BAD_INPUT (no node, one that is no candidate,
 * candidates that do not ascend, an effect that is not finite), ST_UNSUPPORTED (edges between
 * nodes at named positions), those of random_circuits_draw(), ST_NO_MEMORY. */
MUST_CHECK status_t circuit_verdict_plan_create(struct circuit_verdict_plan **out,
                                                const struct verdict_plan_params *params,
                                                struct error *err);
void circuit_verdict_plan_destroy(struct circuit_verdict_plan **plan); /* NULL-safe */

/* What to measure under each ablation value; nodes are indexes of candidates, edges of
 * circuit_verdict_plan_edges(). Borrowed until destroy. */
struct search_batch circuit_verdict_plan_variants(struct circuit_verdict_plan *plan);
const struct circuit_edge *circuit_verdict_plan_edges(const struct circuit_verdict_plan *plan,
                                                      size_t *n);

/* What was measured under one ablation value. */
struct plan_values {
    const double *values; /* [n variants, n_prompts] */
    const double *full;   /* [n_prompts] */
    size_t n_prompts;
};

/* To *out, whose arrays are in *rows, which the caller frees after use, and in the plan.
 * is_measured is set; method and KL are the caller's. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t circuit_verdict_plan_fill(const struct circuit_verdict_plan *plan,
                                              const struct plan_values *given,
                                              struct value_measures *out, double **rows,
                                              struct error *err);

#endif
