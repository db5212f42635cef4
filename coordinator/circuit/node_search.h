/* Which nodes of a model do a task, and which stand in for one another.
 *
 * Effects are drops of the metric (of KL: rises) when one more node is ablated, given what is
 * ablated already. A drop is *clear* when it is at least share_min of |m(M) - m(empty)| and its p
 * (node_selection.h) is at most fdr_q; it is a *discovery* when Benjamini and Hochberg hold over
 * all tests that were made up to then: every single effect, every one of a conditional sweep and
 * of a pair, and all those by which a group was justified.
 *
 *   singles      each candidate alone. More than max_singles candidates: groups of them, and the
 *                quarters of those in which there is an effect. Chosen: clear discoveries, exactly
 *                those of node_selection().
 *   complement   what was not chosen, ablated more and more of it in the given order: where the
 *                metric drops although no single effect explains it, the place is found by
 *                bisection. An OR of any number of nodes shows here, a single sweep misses it.
 *   conditional  given each chosen node (whose ablation leaves something): each other node, while
 *                that is at most max_sweep variants, and again more and more of them: backups.
 *   pairs        of what was not chosen, max_pairs at most: those of the largest single effects,
 *                whatever the given order is, ties in the order of the candidates.
 *   context      what such a drop needs to show, made minimal: v and the smallest set K that must
 *                be ablated before it. More than max_context nodes in K: nobody's backup.
 *   group        K and v, accepted where each member's drop given all others is a clear
 *                discovery: they are one class from then on. Small groups first, then by their
 *                members: what a node was found given is of the first that has it.
 *   classes      pairs of chosen nodes whose joint drop is clearly beyond the sum: one class;
 *                max_pairs at most, those of the largest effects.
 *   prune        a member whose drop given the rest of its class is not clear leaves the class,
 *                and the circuit, if its own is not clear either; the weakest of a class first.
 *
 * complement and conditional are repeated while they find anything, max_rounds each (complement
 * from either end of the order), and conditional again if pairs found something; of the places of a
 * round the NODE_SEARCH_MAX_HITS largest are followed. All of it but `singles` only where
 * is_conditional.
 *
 * Candidates are in their own order, the one that there is (component_compare): how a caller came
 * by them changes nothing. `order` comes from outside and only says where the lists of groups,
 * complement and conditional begin: how many variants are asked depends on it, and what is accepted
 * rests on exact effects of sets that no order is in.
 * A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_NODE_SEARCH_H
#define COORDINATOR_CIRCUIT_NODE_SEARCH_H

#include "coordinator/circuit/paired_effect.h"
#include "coordinator/circuit/search_view.h"

enum { NODE_SEARCH_MAX_CONTEXT = 8, NODE_SEARCH_MAX_HITS = 64 };

struct node_search_params {
    size_t n;              /* candidates */
    const uint32_t *order; /* [n] a permutation, most promising first; NULL: as listed. Borrowed */
    struct node_selection_params selection;
    bool is_conditional;
    size_t max_singles; /* 4096 */
    size_t max_sweep;   /* 8192 variants of conditional sweeps, in each round */
    size_t max_pairs;   /* 500 of nodes not chosen, and as many of chosen ones */
    size_t max_context; /* 4; at most NODE_SEARCH_MAX_CONTEXT */
    size_t max_rounds;  /* 4 */
};
struct node_search_params node_search_params_default(void);

enum node_reason {
    NODE_NOT_FOUND,
    NODE_SINGLE,      /* its drop alone */
    NODE_CONDITIONAL, /* its drop given `context` */
    NODE_DROPPED      /* was one of these, and pruned */
};

struct found_node {
    struct node_effect alone; /* is_chosen: by the single sweep */
    bool is_chosen;           /* it is in the circuit */
    bool is_measured;         /* else its group as a whole had no clear effect */
    enum node_reason reason;
    struct node_effect given; /* its drop given the context; without one that alone */
    uint32_t context[NODE_SEARCH_MAX_CONTEXT]; /* [n_context] candidates, ascending */
    uint32_t n_context;
    uint32_t class_of; /* candidate: the first of its class, which may be itself */
};

/* How many pairs there were, and how many of them were measured. */
struct pair_count {
    size_t n, n_tested;
};
struct node_search_pairs {
    struct pair_count others; /* of nodes not chosen until then */
    struct pair_count chosen; /* of chosen ones: are they one class? */
};

struct node_search;

/* One search: number 0 of all units, s > 0 of the s-th bootstrap. params and values are borrowed
 * until destroy. Errors: ST_BAD_INPUT (params, units), ST_NO_MEMORY. */
struct node_search_place {
    struct variant_values *values;
    const struct prompt_units *units;
    bool is_divergence;
    uint64_t seed, number;
};
MUST_CHECK status_t node_search_create(struct node_search **out,
                                       const struct node_search_params *params,
                                       const struct node_search_place *place, struct error *err);
void node_search_destroy(struct node_search **search); /* NULL-safe */

/* Go as far as known values allow; full [n_prompts] is that of nothing ablated. What is missing
 * was wanted of `values`. *is_over: nothing is. Errors: ST_NO_MEMORY, ST_BAD_INPUT. */
MUST_CHECK status_t node_search_advance(struct node_search *search, const double *full,
                                        bool *is_over, struct error *err);

/* [n], borrowed; settled once it is over. */
const struct found_node *node_search_nodes(const struct node_search *search);
bool node_search_is_truncated(const struct node_search *search);
/* Once it is over; none where the search is not conditional. */
struct node_search_pairs node_search_pairs(const struct node_search *search);

#endif
