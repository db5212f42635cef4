/* Where in a list of nodes the metric drops, by ablating runs of it and splitting those that
 * show: a few variants for each place instead of one for each node.
 *
 *   apart       each run alone, beside the base
 *   cumulative  each run after all that stands before it in the list: a drop that needs other
 *               nodes ablated too shows at the last of them
 *
 * A run is split in four while its drop is clear; one node left is a hit. Drops of opposite signs
 * in one run can hide each other. A value belongs to one thread. */
#ifndef COORDINATOR_CIRCUIT_GROUP_SPLIT_H
#define COORDINATOR_CIRCUIT_GROUP_SPLIT_H

#include "coordinator/circuit/paired_effect.h"
#include "coordinator/circuit/search_view.h"

enum { SPLIT_WAYS = 4 };

/* What makes a drop clear: both. */
struct clear_rule {
    double least; /* |mean| */
    double p;
};

struct split_run {
    size_t first, end; /* of the list */
};

struct split_hit {
    size_t place; /* in the list */
    double size;  /* |mean drop| */
};

struct group_split {
    uint32_t *items; /* [n_base + n], owned: the base, then the list */
    size_t n_base, n;
    bool is_cumulative;
    struct split_run *runs; /* [n_runs] to be measured; owned */
    size_t n_runs;
    struct split_hit *hits; /* [n_hits], owned */
    size_t n_hits;
    double *p; /* [n_tested] of every node that was measured by itself; owned */
    size_t n_tested;
};

struct split_plan {
    struct index_span base, list;
    bool is_cumulative;
    size_t n_first_runs; /* at least 1 */
};

/* Errors: ST_NO_MEMORY. On ST_OK the caller passes *out to group_split_fini(). */
MUST_CHECK status_t group_split_init(struct group_split *out, const struct split_plan *plan,
                                     struct error *err);
void group_split_fini(struct group_split *split); /* fine twice */

/* One level deeper. *is_over: no run is left. If rows are missing (view->n_missing) nothing
 * changes. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t group_split_advance(struct group_split *split, struct search_view *view,
                                        const struct effect_sample *sample,
                                        const struct clear_rule *rule, bool *is_over,
                                        struct error *err);

/* What was ablated before the hit at `place` was: the base, and what stands before it if
 * cumulative. Borrowed. */
struct index_span group_split_context(const struct group_split *split, size_t place);
uint32_t group_split_node(const struct group_split *split, size_t place);

bool effect_is_clear(const struct node_effect *effect, const struct clear_rule *rule);

#endif
