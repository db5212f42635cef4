/* Where a component lives in the model's activations: the columns that an ablation changes.
 * Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_COMPONENT_SITE_H
#define COORDINATOR_CIRCUIT_COMPONENT_SITE_H

#include "common/ablate.h"
#include "coordinator/circuit/circuit_edge.h"

/* The columns that hold what `component` computes; those of embed are all that enters layer 0.
 * The shape's counts are known. Errors: ST_UNSUPPORTED (SAE features and error terms, logits,
 * pos_embed alone), ST_NOT_FOUND (component_check). */
MUST_CHECK status_t component_site(const struct component *component,
                                   const struct model_shape *shape, struct ablate_site *out,
                                   struct error *err);

/* The columns through which the receiver of `edge` reads: q, k or v of a head or of its K/V
 * group, the output of an MLP, the stream behind the last layer. Errors as above. */
MUST_CHECK status_t edge_receiver_site(const struct circuit_edge *edge,
                                       const struct model_shape *shape, struct ablate_site *out,
                                       struct error *err);

#endif
