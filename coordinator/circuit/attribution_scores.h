/* What attribution (common/attribute.h) estimates of components and edges, in the words of a
 * search: the drop of the metric if the corrupted prompt's value stood there.
 *
 * A score is the same whatever position of a prompt a component is named at: attribution sums over
 * positions. It says nothing about neurons, dimensions, features and error terms.
 *
 * Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_ATTRIBUTION_SCORES_H
#define COORDINATOR_CIRCUIT_ATTRIBUTION_SCORES_H

#include "common/attribute.h"
#include "coordinator/circuit/circuit_edge.h"
#include "coordinator/session/score.h"

struct attribution_scores {
    struct attribute_shape shape;
    const double *nodes; /* [attribute_n_nodes] sums over the prompts */
    const double *edges; /* [attribute_n_edges] the same; NULL: the method has none */
    size_t n_prompts;    /* 1 .. */
    bool is_divergence;  /* the metric is KL: a rise is a drop */
};

/* Undefined: attribution says nothing about it. */
struct score_value attribution_of_node(const struct attribution_scores *scores,
                                       const struct component *component);
struct score_value attribution_of_edge(const struct attribution_scores *scores,
                                       const struct circuit_edge *edge);

#endif
