/* All edges that there can be among some nodes and the ends of the graph: what a search for edges
 * tries, and what a circuit that claims edges leaves out. Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_EDGE_CANDIDATES_H
#define COORDINATOR_CIRCUIT_EDGE_CANDIDATES_H

#include "coordinator/circuit/circuit_edge.h"

struct edge_rule {
    bool is_parallel;   /* model_shape */
    bool has_pos_embed; /* then embed is the token embedding alone, and pos_embed sends too */
};

/* Legal edges (circuit_edge_is_legal) from embed and the nodes into the nodes and the logits,
 * ascending (circuit_edge_compare), each once; nodes [n] ascend. The caller frees *out. Errors:
 * ST_TOO_LARGE (more than CIRCUIT_MAX_EDGES), ST_NO_MEMORY. */
MUST_CHECK status_t edge_candidates(const struct component *nodes, size_t n,
                                    const struct edge_rule *rule, struct circuit_edge **out,
                                    size_t *n_out, struct error *err);

#endif
