/* What the stages of a node search share (node_search.h); included by node_search*.c alone.
 *
 *   SINGLES -> COMPLEMENT -> CONDITIONAL -> PAIRS -> CLASSES -> PRUNE -> OVER
 *              |  FIND -> CONTEXT -> GROUP  |
 *
 * A step reads rows through the view; if one was missing it changed nothing and is run again. */
#ifndef COORDINATOR_CIRCUIT_NODE_SEARCH_PARTS_H
#define COORDINATOR_CIRCUIT_NODE_SEARCH_PARTS_H

#include "coordinator/circuit/context_search.h"
#include "coordinator/circuit/group_split.h"
#include "coordinator/circuit/test_family.h"

enum search_stage {
    STAGE_SINGLES,
    STAGE_COMPLEMENT,
    STAGE_CONDITIONAL,
    STAGE_PAIRS,
    STAGE_CLASSES,
    STAGE_PRUNE,
    STAGE_OVER
};
enum search_step { STEP_FIND, STEP_CONTEXT, STEP_GROUP };

/* K and v: nodes that show only when all but one of them are ablated. */
struct node_group {
    uint32_t members[NODE_SEARCH_MAX_CONTEXT + 1]; /* ascending */
    size_t n;
    struct node_effect drops[NODE_SEARCH_MAX_CONTEXT + 1]; /* of each given the others */
};

struct node_search {
    const struct node_search_params *params;
    struct effect_sample sample;
    struct search_view view;
    struct test_family tests;
    struct context_rule rule;
    enum search_stage stage;
    enum search_step step;
    size_t round;  /* of the stage */
    size_t n_idle; /* rounds that found nothing, in a row */
    bool is_paired;
    struct node_search_pairs pairs;
    struct found_node *found; /* [n] */
    bool *is_given;           /* [n] was it a context of a conditional sweep? */
    uint32_t *list;           /* [n] scratch: nodes that a step is about */
    uint32_t *all;            /* [n] 0 .. n - 1 */
    /* Of the round: */
    struct group_split *splits; /* [n_splits] of n_splits_room */
    size_t n_splits, n_splits_room;
    struct context_search *contexts; /* [n_contexts], at most NODE_SEARCH_MAX_HITS */
    size_t n_contexts;
    struct node_group *groups; /* [n_groups] of n_groups_room */
    size_t n_groups, n_groups_room;
};

/* Row of the nodes of a list, all of them. */
const double *node_search_row(struct node_search *search, const uint32_t *nodes, size_t n);
/* The drop from one row to another; of nothing (p 1) if one is not there. */
struct node_effect node_search_drop(struct node_search *search, const double *before,
                                    const double *after);
bool node_search_is_clear(const struct node_search *search, const struct node_effect *effect);

/* Candidates that are (not) chosen, in the given order, into list; returns how many. */
size_t node_search_list(struct node_search *search, bool is_chosen);

/* Candidates that are (not) chosen by the size of what their ablation does, ties as they are
 * numbered. The caller frees *out. Errors: ST_NO_MEMORY. */
struct ranked_node {
    double size;
    uint32_t node;
};
MUST_CHECK status_t node_search_rank(const struct node_search *search, bool is_chosen,
                                     struct ranked_node **out, size_t *n, struct error *err);
static inline size_t all_pairs(size_t n)
{
    return n > 1 ? n * (n - 1) / 2 : 0;
}
/* Of how many of n nodes all pairs are at most max_pairs. */
size_t node_search_n_paired(const struct node_search *search, size_t n);

/* Steps. Errors: ST_NO_MEMORY, ST_BAD_INPUT. */
MUST_CHECK status_t node_search_find_complement(struct node_search *search, struct error *err);
MUST_CHECK status_t node_search_find_conditional(struct node_search *search, struct error *err);
MUST_CHECK status_t node_search_find_pairs(struct node_search *search, struct error *err);
MUST_CHECK status_t node_search_add_split(struct node_search *search, const struct split_plan *plan,
                                          struct error *err);
/* Every split as far as it goes; *is_over: all are at their ends. */
MUST_CHECK status_t node_search_run_splits(struct node_search *search, bool *is_over,
                                           struct error *err);
MUST_CHECK status_t node_search_run_contexts(struct node_search *search, struct error *err);
MUST_CHECK status_t node_search_run_groups(struct node_search *search, size_t *n_accepted,
                                           struct error *err);
MUST_CHECK status_t node_search_add_group(struct node_search *search, const uint32_t *members,
                                          size_t n, struct error *err);
void node_search_clear_round(struct node_search *search);

MUST_CHECK status_t node_search_join_classes(struct node_search *search, struct error *err);
void node_search_join(struct node_search *search, uint32_t a, uint32_t b);
/* *is_over: nothing had to leave. */
MUST_CHECK status_t node_search_prune(struct node_search *search, bool *is_over, struct error *err);
MUST_CHECK status_t node_search_keep_largest(struct node_search *search, struct error *err);

#endif
