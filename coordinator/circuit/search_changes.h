/* From sets of components and edges to the changes that a worker makes: search_variant.h as units
 * of common/ablate.h. Pure. */
#ifndef COORDINATOR_CIRCUIT_SEARCH_CHANGES_H
#define COORDINATOR_CIRCUIT_SEARCH_CHANGES_H

#include "common/ablate.h"
#include "coordinator/circuit/circuit_edge.h"
#include "coordinator/circuit/search_variant.h"

/* What the indexes of variants mean. All borrowed. */
struct search_things {
    const struct model_shape *shape;
    const struct component *nodes; /* [n_nodes] */
    size_t n_nodes;
    const struct circuit_edge *edges; /* [n_edges] */
    size_t n_edges;
    /* [n_dictionaries] where each of the task's stands, as its error term */
    const struct component *dictionaries;
    size_t n_dictionaries;
    char *const *positions; /* [n_positions] set k + 1 of the task is where position k is */
    size_t n_positions;
};

/* Append every variant of `batch` under `value` to `unit`, which may hold others. Errors:
 * ST_BAD_INPUT (an index or position that is not there), those of component_site(), ST_TOO_LARGE,
 * ST_NO_MEMORY; the unit is the caller's to free either way. */
MUST_CHECK status_t search_changes_append(struct ablate_unit *unit,
                                          const struct search_batch *batch, enum ablate_value value,
                                          const struct search_things *things, struct error *err);

/* Append a variant that changes nothing. */
MUST_CHECK status_t search_changes_append_clean(struct ablate_unit *unit, struct error *err);

#endif
