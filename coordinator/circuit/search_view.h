/* How a search reads what was measured: it asks for rows as if all were there. A row that is not
 * known is NULL, wanted, and counted; a step of a search that met one is run again, from its
 * start, once the values came. So a search reads like a sequential program, asks as much as it
 * can at a time, and shares what was measured with every other that reads the same values. A
 * value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_SEARCH_VIEW_H
#define COORDINATOR_CIRCUIT_SEARCH_VIEW_H

#include "coordinator/circuit/variant_values.h"

struct index_span {
    const uint32_t *items; /* [n], any order, repeats allowed */
    size_t n;
};

struct search_view {
    struct variant_values *values; /* borrowed */
    const double *full;            /* [n_prompts] of nothing ablated; borrowed */
    uint32_t *nodes, *edges;       /* scratch, owned */
    size_t nodes_size, edges_size;
    size_t n_missing; /* rows that were NULL since search_view_begin() */
    bool is_refused;  /* ever: a set that may not be measured any more */
    status_t status;  /* the first failure: ST_NO_MEMORY */
};

void search_view_init(struct search_view *view, struct variant_values *values);
void search_view_fini(struct search_view *view); /* fine twice */

void search_view_begin(struct search_view *view);

/* The row of the union of two lists of nodes; NULL as said above. Refused sets are NULL and not
 * counted: they never come. */
const double *search_view_nodes(struct search_view *view, struct index_span first,
                                struct index_span second);
/* The same of any set: nodes and edges. */
const double *search_view_mixed(struct search_view *view, struct index_span nodes,
                                struct index_span edges);

#endif
