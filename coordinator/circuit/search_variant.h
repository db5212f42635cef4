/* One thing that a search wants to know: the metric with a set of things ablated, all under the
 * sweep's one ablation value.
 *
 * Things are named by index: a node by its place among the candidates, an edge by its place among
 * the candidate edges (circuit_search_edges). A node ablated is its output replaced for every
 * reader and for the logits; an edge ablated is the sender's output replaced in that one input.
 * Sets, not sequences: indexes ascend and none is there twice. Plain data. */
#ifndef COORDINATOR_CIRCUIT_SEARCH_VARIANT_H
#define COORDINATOR_CIRCUIT_SEARCH_VARIANT_H

#include <stddef.h>
#include <stdint.h>

struct search_variant {
    const uint32_t *nodes; /* [n_nodes] */
    const uint32_t *edges; /* [n_edges] */
    size_t n_nodes, n_edges;
};

struct search_batch {
    const struct search_variant *variants; /* [n] */
    size_t n;
};

#endif
