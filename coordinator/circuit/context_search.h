/* The smallest set of nodes that must be ablated before the ablation of one more shows: from a
 * list after which it shows, by bisection (QuickXplain, Junker 2004, over prefixes).
 *
 *   kept + rest[0 .. n) shows;  kept alone does?  then kept is the set
 *   else the shortest rest[0 .. j) with which it shows: its last node is kept, the list ends
 *   before it, and again
 *
 * Each node of the result is needed given the others, as long as ablating more never hides what
 * ablating less shows. A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_CONTEXT_SEARCH_H
#define COORDINATOR_CIRCUIT_CONTEXT_SEARCH_H

#include "coordinator/circuit/group_split.h"
#include "coordinator/circuit/node_search.h"

struct context_search {
    uint32_t node;
    uint32_t *rest; /* [n_rest], owned */
    size_t n_rest;
    uint32_t kept[NODE_SEARCH_MAX_CONTEXT];
    size_t n_kept;
    size_t low, high; /* prefixes: low does not show, high does */
    bool is_checked;  /* kept alone does not show */
    bool is_over, is_found;
};

/* `context` is what was ablated when `node` showed. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t context_search_init(struct context_search *out, uint32_t node,
                                        struct index_span context, struct error *err);
void context_search_fini(struct context_search *search); /* fine twice */

/* One probe further, if its rows are there. */
struct context_rule {
    struct clear_rule clear;
    size_t max_context;
};
void context_search_advance(struct context_search *search, struct search_view *view,
                            const struct effect_sample *sample, const struct context_rule *rule);

#endif
