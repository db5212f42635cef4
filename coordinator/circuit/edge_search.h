/* Along which edges the nodes of a circuit do it.
 *
 *   patch   every candidate edge alone (path patching: the sender's output replaced in that one
 *           input), in the whole model and, where an end of it has a class of several, given the
 *           rest of these classes ablated, since what stands in for a node stands in for its
 *           edges. Kept: edges with a clear drop that is a discovery (node_search.h says how), in
 *           either.
 *   acdc    acdc.h on the circuit alone (all nodes outside it ablated), for each tau; what
 *           patching measured is its hint. The circuit gets the edges of the largest tau whose
 *           sufficiency, (m(kept) - m(empty)) / (m(M) - m(empty)) on the search prompts, reaches
 *           sufficiency_min; of none: of the smallest tau.
 *
 * The order only orders: ACDC tries edges it does not list first, from the logits down, then those
 * that it lists, the most promising last. A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_EDGE_SEARCH_H
#define COORDINATOR_CIRCUIT_EDGE_SEARCH_H

#include "coordinator/circuit/acdc.h"
#include "coordinator/circuit/circuit_edge.h"
#include "coordinator/circuit/node_search.h"

enum { EDGE_SEARCH_MAX_TAUS = 32 };

struct edge_search_params {
    bool is_acdc;
    bool is_parallel, has_pos_embed;  /* edge_candidates.h */
    const struct circuit_edge *given; /* [n_given] instead of all legal ones: those of them whose
                                         ends are found. NULL: all. Borrowed */
    size_t n_given;
    const struct circuit_edge *order; /* [n_order] most promising first; NULL. Borrowed */
    size_t n_order;
    /* Where `order` is NULL: the most promising is the largest, whatever its sign; undefined is
     * not listed. NULL: none. */
    struct score_value (*score)(const void *context, const struct circuit_edge *edge);
    const void *score_context;         /* borrowed */
    double taus[EDGE_SEARCH_MAX_TAUS]; /* [n_taus], at least one for acdc */
    size_t n_taus;
    bool is_absolute, is_grouped; /* acdc.h */
    double sufficiency_min;       /* 0.8 */
};
struct edge_search_params edge_search_params_default(void);

/* Errors: ST_BAD_INPUT, by name. */
MUST_CHECK status_t edge_search_check(const struct edge_search_params *params, struct error *err);

struct found_edge {
    struct node_effect alone; /* in the whole model; is_chosen: a clear discovery */
    struct node_effect given; /* given the rest of the classes of its ends */
    bool has_given;           /* else given is alone */
    bool is_kept;             /* it is in the circuit */
};

/* What ACDC gave at one tau. */
struct acdc_circuit {
    double tau;
    const bool *is_kept; /* [n edges], borrowed from the search */
    size_t n_kept;
    struct score_value sufficiency;
    size_t n_rounds;   /* windows of speculation */
    bool is_truncated; /* edges were never tried: they are kept */
};

/* What all searches of a sweep share: borrowed by them. */
struct edge_task {
    const struct edge_search_params *params;
    const struct circuit_edge *edges; /* [n], ascending: those of the variants */
    size_t n;
    const uint32_t *order; /* [n] in which ACDC tries them */
    const struct component *candidates;
    const struct found_node *nodes; /* [n_nodes] of the search of all units */
    size_t n_nodes;
    struct node_selection_params selection;
};

/* The order of params->order over edges [n], into order [n]. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t edge_search_order(const struct edge_search_params *params,
                                      const struct circuit_edge *edges, size_t n, uint32_t *order,
                                      struct error *err);

struct edge_search;

/* tau_index: ACDC for that tau alone; EDGE_SEARCH_MAX_TAUS: for all. Errors: ST_BAD_INPUT,
 * ST_NO_MEMORY. */
MUST_CHECK status_t edge_search_create(struct edge_search **out, const struct edge_task *task,
                                       const struct node_search_place *place, size_t tau_index,
                                       struct error *err);
void edge_search_destroy(struct edge_search **search); /* NULL-safe */

/* As node_search_advance(). */
MUST_CHECK status_t edge_search_advance(struct edge_search *search, const double *full,
                                        bool *is_over, struct error *err);

/* Once it is over; borrowed. */
const struct found_edge *edge_search_edges(const struct edge_search *search);
const struct acdc_circuit *edge_search_taus(const struct edge_search *search, size_t *n);
size_t edge_search_chosen_tau(const struct edge_search *search); /* index of params->taus */
bool edge_search_is_truncated(const struct edge_search *search);

#endif
