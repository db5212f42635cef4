/* Where the metric drops and no single effect says why (node_search.h: complement, conditional,
 * pairs). */
#include "coordinator/circuit/node_search_parts.h"

#include <stdlib.h>

void node_search_clear_round(struct node_search *search)
{
    for (size_t i = 0; i < search->n_splits; i++) group_split_fini(&search->splits[i]);
    for (size_t i = 0; i < search->n_contexts; i++) context_search_fini(&search->contexts[i]);
    search->n_splits = search->n_contexts = search->n_groups = 0;
}

/* --- splits ------------------------------------------------------------------------------- */

status_t node_search_add_split(struct node_search *search, const struct split_plan *plan,
                               struct error *err)
{
    if (search->n_splits == search->n_splits_room) {
        const size_t n_room = 2 * search->n_splits_room + 8;
        struct group_split *grown = realloc(search->splits, n_room * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "search: %zu splits", n_room);
        search->splits = grown;
        search->n_splits_room = n_room;
    }
    const status_t status = group_split_init(&search->splits[search->n_splits], plan, err);
    if (status == ST_OK) search->n_splits++;
    return status;
}

status_t node_search_run_splits(struct node_search *search, bool *is_over, struct error *err)
{
    status_t status = ST_OK;
    *is_over = true;
    for (size_t i = 0; i < search->n_splits && status == ST_OK; i++) {
        bool is_at_end = search->splits[i].n_runs == 0;
        size_t n_missing = search->view.n_missing;
        while (status == ST_OK && !is_at_end && search->view.n_missing == n_missing)
            status = group_split_advance(&search->splits[i], &search->view, &search->sample,
                                         &search->rule.clear, &is_at_end, err);
        *is_over = *is_over && is_at_end;
    }
    return status;
}

struct ranked_hit {
    double size;
    uint32_t node;
    size_t split, place;
};

static int compare_hits(const void *a, const void *b)
{
    const struct ranked_hit *left = a, *right = b;
    if (left->size != right->size) return left->size > right->size ? -1 : 1;
    if (left->node != right->node) return left->node < right->node ? -1 : 1;
    return (left->split > right->split) - (left->split < right->split);
}

/* The contexts of the largest hits are looked for next. */
static status_t take_hits(struct node_search *search, struct error *err)
{
    size_t n_hits = 0;
    status_t status = ST_OK;
    for (size_t s = 0; s < search->n_splits; s++) n_hits += search->splits[s].n_hits;
    struct ranked_hit *hits = malloc((n_hits + 1) * sizeof *hits);
    if (!hits) return error_set(err, ST_NO_MEMORY, "search: %zu hits", n_hits);
    n_hits = 0;
    for (size_t s = 0; s < search->n_splits; s++) {
        const struct group_split *split = &search->splits[s];
        for (size_t h = 0; h < split->n_hits; h++)
            hits[n_hits++] = (struct ranked_hit){split->hits[h].size,
                                                 group_split_node(split, split->hits[h].place), s,
                                                 split->hits[h].place};
    }
    qsort(hits, n_hits, sizeof *hits, compare_hits);
    for (size_t h = 0; h < n_hits && h < NODE_SEARCH_MAX_HITS && status == ST_OK; h++) {
        const struct group_split *split = &search->splits[hits[h].split];
        status = context_search_init(&search->contexts[search->n_contexts],
                                     group_split_node(split, hits[h].place),
                                     group_split_context(split, hits[h].place), err);
        if (status == ST_OK) search->n_contexts++;
    }
    free(hits);
    search->step = STEP_CONTEXT;
    return status;
}

static status_t finish_splits(struct node_search *search, struct error *err)
{
    bool is_over;
    status_t status = node_search_run_splits(search, &is_over, err);
    if (status != ST_OK || !is_over) return status;
    for (size_t s = 0; s < search->n_splits; s++)
        for (size_t i = 0; i < search->splits[s].n_tested && status == ST_OK; i++)
            status = test_family_add(&search->tests, search->splits[s].p[i], err);
    return status == ST_OK ? take_hits(search, err) : status;
}

/* --- complement --------------------------------------------------------------------------- */

static void reverse(uint32_t *items, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const uint32_t swapped = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = swapped;
    }
}

/* Every other round from the other end: what hides behind what depends on the order. */
status_t node_search_find_complement(struct node_search *search, struct error *err)
{
    if (search->n_splits == 0) {
        const size_t n = node_search_list(search, false);
        if (search->round % 2 == 1) reverse(search->list, n);
        const struct split_plan plan = {{NULL, 0}, {search->list, n}, true, SPLIT_WAYS};
        const status_t status = node_search_add_split(search, &plan, err);
        if (status != ST_OK) return status;
    }
    return finish_splits(search, err);
}

/* --- conditional -------------------------------------------------------------------------- */

/* Nodes after whose ablation something is left, and that were no context before; their indexes
 * into given [n]. */
static size_t list_given(struct node_search *search, uint32_t *given)
{
    const double *empty = node_search_row(search, search->all, search->params->n);
    size_t n_given = 0;
    for (uint32_t v = 0; v < search->params->n; v++) {
        if (!search->found[v].is_chosen || search->is_given[v]) continue;
        const double *row = node_search_row(search, &v, 1);
        const struct node_effect left = node_search_drop(search, row, empty);
        if (effect_is_clear(&left, &search->rule.clear)) given[n_given++] = v;
    }
    return n_given;
}

static status_t split_given(struct node_search *search, const uint32_t *given, size_t n_given,
                            struct error *err)
{
    const size_t n = node_search_list(search, false);
    const size_t n_each = n_given > 0 ? search->params->max_sweep / n_given : 0;
    const size_t n_first = n <= n_each ? n : (n_each + 1) / SPLIT_WAYS + SPLIT_WAYS;
    status_t status = ST_OK;
    for (size_t g = 0; g < n_given && status == ST_OK; g++) {
        const struct index_span base = {&given[g], 1}, list = {search->list, n};
        const struct split_plan apart = {base, list, false, n_first};
        const struct split_plan cumulative = {base, list, true, SPLIT_WAYS};
        status = node_search_add_split(search, &apart, err);
        if (status == ST_OK) status = node_search_add_split(search, &cumulative, err);
    }
    return status;
}

status_t node_search_find_conditional(struct node_search *search, struct error *err)
{
    status_t status = ST_OK;
    if (search->n_splits == 0) {
        uint32_t *given = malloc(search->params->n * sizeof *given);
        if (!given) return error_set(err, ST_NO_MEMORY, "search: %zu nodes", search->params->n);
        const size_t n_given = list_given(search, given);
        if (search->view.n_missing == 0) {
            status = split_given(search, given, n_given, err);
            for (uint32_t v = 0; v < search->params->n; v++)
                search->is_given[v] = search->is_given[v] || search->found[v].is_chosen;
        }
        free(given);
        if (status != ST_OK || search->view.n_missing > 0) return status;
    }
    return finish_splits(search, err);
}

/* --- pairs -------------------------------------------------------------------------------- */

/* One pair; counted once all rows are there. */
static status_t try_pair(struct node_search *search, const uint32_t pair[2], bool is_counted,
                         struct error *err)
{
    const double *both = node_search_row(search, pair, 2);
    const double *first = node_search_row(search, &pair[0], 1);
    const double *second = node_search_row(search, &pair[1], 1);
    const struct node_effect of_second = node_search_drop(search, first, both);
    const struct node_effect of_first = node_search_drop(search, second, both);
    if (!is_counted) return ST_OK;
    search->pairs.others.n_tested += both && first && second;
    status_t status = test_family_add(&search->tests, of_second.p, err);
    if (status == ST_OK) status = test_family_add(&search->tests, of_first.p, err);
    if (status == ST_OK && node_search_is_clear(search, &of_first) &&
        node_search_is_clear(search, &of_second))
        status = node_search_add_group(search, pair, 2, err);
    return status;
}

/* All pairs of the first n; *ranked are by effect. */
static status_t try_pairs(struct node_search *search, const struct ranked_node *ranked, size_t n,
                          bool is_counted, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n && status == ST_OK; j++)
            status =
                try_pair(search, (uint32_t[2]){ranked[i].node, ranked[j].node}, is_counted, err);
    return status;
}

status_t node_search_find_pairs(struct node_search *search, struct error *err)
{
    struct ranked_node *ranked;
    size_t n_others;
    status_t status = node_search_rank(search, false, &ranked, &n_others, err);
    if (status != ST_OK) return status;
    const size_t n = node_search_n_paired(search, n_others);
    search->pairs.others = (struct pair_count){.n = all_pairs(n_others)};
    status = try_pairs(search, ranked, n, false, err);
    if (status == ST_OK && search->view.n_missing == 0) {
        status = try_pairs(search, ranked, n, true, err);
        search->is_paired = true;
        search->step = STEP_GROUP;
    }
    free(ranked);
    return status;
}
