/* The part of a circuit search that is about edges: which there are among the nodes found, one
 * edge_search on all units, then (for ACDC at the tau that this chose) the same again on each
 * bootstrap. Included by circuit_search.c alone; a value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_EDGE_STAGE_H
#define COORDINATOR_CIRCUIT_EDGE_STAGE_H

#include "coordinator/circuit/edge_search.h"

/* What it is made of; all borrowed until fini but the plain values. */
struct edge_stage_plan {
    const struct edge_search_params *params;
    const struct component *candidates;
    const struct found_node *nodes; /* [n_nodes], settled */
    size_t n_nodes;
    struct node_selection_params selection;
    struct node_search_place place; /* number is not read */
    size_t n_bootstraps;
};

struct edge_stage {
    struct edge_stage_plan plan;
    struct edge_task task;
    struct circuit_edge *edges;    /* [task.n], owned */
    uint32_t *order;               /* [task.n], owned */
    struct edge_search **searches; /* [1 + n_bootstraps], owned; NULL until begun */
};

/* Errors: ST_TOO_LARGE, ST_NO_MEMORY. On ST_OK the caller passes *out, which must not move, to
 * edge_stage_fini(). */
MUST_CHECK status_t edge_stage_init(struct edge_stage *out, const struct edge_stage_plan *plan,
                                    struct error *err);
void edge_stage_fini(struct edge_stage *stage); /* fine twice */

/* As node_search_advance(), for all of them. */
MUST_CHECK status_t edge_stage_advance(struct edge_stage *stage, const double *full, bool *is_over,
                                       struct error *err);

/* After the end: mean pairwise Jaccard of the edges of the bootstraps. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t edge_stage_stability(const struct edge_stage *stage, struct score_value *out,
                                         struct error *err);
bool edge_stage_is_truncated(const struct edge_stage *stage);

#endif
