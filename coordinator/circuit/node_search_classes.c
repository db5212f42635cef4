/* Which chosen nodes are one class, and which do not belong (node_search.h: classes, prune). */
#include "coordinator/circuit/node_search_parts.h"

#include <math.h>
#include <stdlib.h>

/* --- classes ------------------------------------------------------------------------------ */

struct joint_pair {
    uint32_t nodes[2];
    bool is_measured;
    struct node_effect beyond;
};

static void measure_pair(struct node_search *search, struct joint_pair *pair)
{
    const uint32_t *nodes = pair->nodes;
    const struct pair_values values = {search->view.full, node_search_row(search, &nodes[0], 1),
                                       node_search_row(search, &nodes[1], 1),
                                       node_search_row(search, nodes, 2)};
    pair->is_measured = values.first && values.second && values.both;
    pair->beyond = pair->is_measured ? effect_beyond_sum(&search->sample, &values)
                                     : (struct node_effect){.p = 1.0};
}

/* On the scale of measure_pair(), where that is another one. */
static double least_beyond(struct node_search *search)
{
    const double least = search->rule.clear.least, share = search->params->selection.share_min;
    return search->sample.is_divergence && share > 0.0 ? share * sqrt(least / share) : least;
}

static status_t join_pairs(struct node_search *search, const struct joint_pair *pairs, size_t n,
                           struct error *err)
{
    const struct clear_rule rule = {least_beyond(search), search->rule.clear.p};
    const size_t first = search->tests.n;
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = test_family_add(&search->tests, pairs[i].beyond.p, err);
    bool *is_discovery = calloc(n + 1, sizeof *is_discovery);
    if (status == ST_OK && !is_discovery) status = error_set(err, ST_NO_MEMORY, "%zu pairs", n);
    if (status == ST_OK)
        status = test_family_decide(&search->tests, rule.p, first, is_discovery, err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        if (is_discovery[i] && pairs[i].beyond.mean > 0.0 &&
            effect_is_clear(&pairs[i].beyond, &rule))
            node_search_join(search, pairs[i].nodes[0], pairs[i].nodes[1]);
    free(is_discovery);
    return status;
}

status_t node_search_join_classes(struct node_search *search, struct error *err)
{
    struct ranked_node *ranked;
    size_t n_chosen, n_pairs = 0;
    status_t status = node_search_rank(search, true, &ranked, &n_chosen, err);
    if (status != ST_OK) return status;
    const size_t n = node_search_n_paired(search, n_chosen);
    struct joint_pair *pairs = malloc((n * n / 2 + 1) * sizeof *pairs);
    if (!pairs) status = error_set(err, ST_NO_MEMORY, "search: pairs of %zu nodes", n);
    for (size_t i = 0; i < n && pairs; i++)
        for (size_t j = i + 1; j < n; j++) {
            struct joint_pair *pair = &pairs[n_pairs++];
            *pair = (struct joint_pair){.nodes = {ranked[i].node, ranked[j].node}};
            measure_pair(search, pair);
        }
    if (status == ST_OK && search->view.n_missing == 0) {
        search->pairs.chosen = (struct pair_count){.n = all_pairs(n_chosen)};
        for (size_t i = 0; i < n_pairs; i++) search->pairs.chosen.n_tested += pairs[i].is_measured;
        status = join_pairs(search, pairs, n_pairs, err);
        search->stage = STAGE_PRUNE;
    }
    free(pairs);
    free(ranked);
    return status;
}

/* --- prune -------------------------------------------------------------------------------- */

/* The chosen nodes of a class but `but` into out; returns how many. */
static size_t class_members(const struct node_search *search, uint32_t class_of, uint32_t but,
                            uint32_t *out)
{
    size_t n = 0;
    for (uint32_t v = 0; v < search->params->n; v++)
        if (v != but && search->found[v].is_chosen && search->found[v].class_of == class_of)
            out[n++] = v;
    return n;
}

/* Its drop given the rest of its class; false where that was not measured. */
static bool drop_in_class(struct node_search *search, uint32_t node, struct node_effect *out)
{
    const uint32_t class_of = search->found[node].class_of;
    size_t n = class_members(search, class_of, UINT32_MAX, search->list);
    const double *after = node_search_row(search, search->list, n);
    n = class_members(search, class_of, node, search->list);
    const double *before = node_search_row(search, search->list, n);
    *out = node_search_drop(search, before, after);
    return before && after;
}

/* Out of its class; out of the circuit unless it shows alone. */
static void expel(struct node_search *search, uint32_t node)
{
    struct found_node *found = &search->found[node];
    const uint32_t old = found->class_of;
    uint32_t first = UINT32_MAX;
    if (found->alone.is_chosen && class_members(search, old, node, search->list) > 0) {
        found->given = found->alone;
        found->n_context = 0;
    } else {
        found->is_chosen = false;
        found->reason = NODE_DROPPED;
    }
    found->class_of = node;
    for (uint32_t v = 0; v < search->params->n; v++)
        if (v != node && search->found[v].class_of == old && first == UINT32_MAX) first = v;
    for (uint32_t v = 0; v < search->params->n; v++)
        if (v != node && search->found[v].class_of == old) search->found[v].class_of = first;
}

struct weakest {
    bool is_any;
    uint32_t node;
    struct node_effect drop;
};

static bool is_weaker(const struct node_effect *a, const struct node_effect *b)
{
    return a->p != b->p ? a->p > b->p : fabs(a->mean) < fabs(b->mean);
}

status_t node_search_prune(struct node_search *search, bool *is_over, struct error *err)
{
    const size_t n = search->params->n;
    struct weakest *weakest = calloc(n, sizeof *weakest); /* by class */
    if (!weakest) return error_set(err, ST_NO_MEMORY, "search: %zu nodes", n);
    *is_over = false;
    for (uint32_t v = 0; v < n; v++) {
        struct weakest *least = &weakest[search->found[v].class_of];
        if (!search->found[v].is_chosen) continue;
        struct node_effect drop;
        if (!drop_in_class(search, v, &drop) || node_search_is_clear(search, &drop)) continue;
        if (!least->is_any || is_weaker(&drop, &least->drop))
            *least = (struct weakest){true, v, drop};
    }
    if (search->view.n_missing == 0) {
        *is_over = true;
        for (size_t c = 0; c < n; c++) {
            if (!weakest[c].is_any) continue;
            expel(search, weakest[c].node);
            *is_over = false;
        }
    }
    free(weakest);
    return ST_OK;
}

status_t node_search_keep_largest(struct node_search *search, struct error *err)
{
    const size_t max_nodes = search->params->selection.max_nodes;
    struct ranked_node *ranked;
    size_t n;
    if (max_nodes == 0) return ST_OK;
    const status_t status = node_search_rank(search, true, &ranked, &n, err);
    if (status != ST_OK) return status;
    for (size_t i = max_nodes; i < n; i++) {
        struct found_node *node = &search->found[ranked[i].node];
        node->is_chosen = false;
        node->reason = NODE_DROPPED;
    }
    free(ranked);
    return ST_OK;
}
