/* What the files of a verdict plan share (circuit_verdict_plan.h); included by them alone. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_PLAN_PARTS_H
#define COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_PLAN_PARTS_H

#include "coordinator/circuit/circuit_verdict_plan.h"
#include "coordinator/circuit/variant_values.h"

enum { ROW_OF_FULL = -1 };

/* Runs are listed in the order of value_measures; `places` says which variant each is. */
struct circuit_verdict_plan {
    size_t n_candidates, n_members, n_subsets, n_minimality, n_random;
    bool is_random_exhaustive;
    struct variant_values *sets; /* each set once, in the order of the batch */
    int64_t *places;             /* [n_runs] of n_room; ROW_OF_FULL */
    size_t n_runs, n_room;
    bool has_curves;
    uint32_t *minimality_member; /* [n_minimality], owned */
    struct circuit_edge *edges;  /* [n_edges], ascending, owned */
    size_t n_edges;
};

/* The work. */
struct planning {
    const struct verdict_plan_params *params;
    struct circuit_verdict_plan *plan;
    struct random_circuits random;
    uint32_t *members; /* [n_members] candidates */
    uint32_t *classes; /* [n_members] */
    size_t n_classes;
    bool *off;          /* [n_candidates] what a run ablates */
    uint32_t *nodes;    /* [n_candidates] the same as a list */
    uint32_t *left_out; /* [n_edges] scratch: edges that a run ablates */
    bool *subsets;      /* [n_all_subsets, n_members] */
    size_t n_all_subsets;
};

/* The circuit, or a random one in its place. */
struct planned_circuit {
    const uint32_t *nodes;            /* [n_members] candidates */
    const struct circuit_edge *edges; /* [circuit->n_edges] */
};

/* A run with `off`, and n_edges of left_out, ablated. Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t verdict_plan_add_run(struct planning *planning, size_t n_edges,
                                         struct error *err);
void verdict_plan_switch_all(struct planning *planning, bool is_off);

/* Index among the candidates; their number if it is none. */
size_t verdict_plan_find(const struct planning *planning, const struct component *component);
struct planned_circuit verdict_plan_own_circuit(const struct planning *planning);

/* Every edge that a circuit of the plan has or leaves out, where edges are claimed. Errors:
 * ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t verdict_plan_collect_edges(struct planning *planning, struct error *err);

/* All but the circuit ablated, and the members that `without` [n_members] marks (NULL: none). */
MUST_CHECK status_t verdict_plan_add_circuit(struct planning *planning,
                                             const struct planned_circuit *circuit,
                                             const bool *without, struct error *err);
MUST_CHECK status_t verdict_plan_add_complement(struct planning *planning,
                                                const struct planned_circuit *circuit,
                                                struct error *err);
/* Every random circuit, then the complement of each. */
MUST_CHECK status_t verdict_plan_add_random(struct planning *planning, struct error *err);

/* The growing circuits of both curves, those of CURVE_SIGNED first; nothing without effects. */
MUST_CHECK status_t verdict_plan_add_curves(struct planning *planning, struct error *err);

#endif
