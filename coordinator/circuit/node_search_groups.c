/* From a place where the metric drops to a group of nodes that stand in for one another
 * (node_search.h: context, group). */
#include "coordinator/circuit/node_search_parts.h"

#include <stdlib.h>
#include <string.h>

static int compare_indexes(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

status_t node_search_add_group(struct node_search *search, const uint32_t *members, size_t n,
                               struct error *err)
{
    struct node_group group = {.n = n};
    memcpy(group.members, members, n * sizeof *members);
    qsort(group.members, n, sizeof *members, compare_indexes);
    for (size_t g = 0; g < search->n_groups; g++)
        if (search->groups[g].n == n &&
            memcmp(search->groups[g].members, group.members, n * sizeof *members) == 0)
            return ST_OK;
    if (search->n_groups == search->n_groups_room) {
        const size_t n_room = 2 * search->n_groups_room + 16;
        struct node_group *grown = realloc(search->groups, n_room * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "search: %zu groups", n_room);
        search->groups = grown;
        search->n_groups_room = n_room;
    }
    search->groups[search->n_groups++] = group;
    return ST_OK;
}

status_t node_search_run_contexts(struct node_search *search, struct error *err)
{
    status_t status = ST_OK;
    for (size_t c = 0; c < search->n_contexts; c++) {
        const size_t n_missing = search->view.n_missing;
        while (!search->contexts[c].is_over && search->view.n_missing == n_missing &&
               search->view.status == ST_OK)
            context_search_advance(&search->contexts[c], &search->view, &search->sample,
                                   &search->rule);
    }
    if (search->view.n_missing > 0) return ST_OK;
    for (size_t c = 0; c < search->n_contexts && status == ST_OK; c++) {
        const struct context_search *context = &search->contexts[c];
        uint32_t members[NODE_SEARCH_MAX_CONTEXT + 1];
        if (!context->is_found) continue;
        memcpy(members, context->kept, context->n_kept * sizeof *members);
        members[context->n_kept] = context->node;
        status = node_search_add_group(search, members, context->n_kept + 1, err);
    }
    search->step = STEP_GROUP;
    return status;
}

/* --- groups ------------------------------------------------------------------------------- */

/* All but the m-th into rest; returns how many. */
static size_t others_of(const struct node_group *group, size_t m, uint32_t *rest)
{
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++)
        if (i != m) rest[n++] = group->members[i];
    return n;
}

static void measure_group(struct node_search *search, struct node_group *group)
{
    uint32_t rest[NODE_SEARCH_MAX_CONTEXT + 1];
    const double *all = node_search_row(search, group->members, group->n);
    for (size_t m = 0; m < group->n; m++) {
        const double *before = node_search_row(search, rest, others_of(group, m, rest));
        group->drops[m] = node_search_drop(search, before, all);
    }
}

void node_search_join(struct node_search *search, uint32_t a, uint32_t b)
{
    const uint32_t first = search->found[a].class_of, second = search->found[b].class_of;
    const uint32_t kept = first < second ? first : second, gone = first < second ? second : first;
    for (size_t i = 0; i < search->params->n; i++)
        if (search->found[i].class_of == gone) search->found[i].class_of = kept;
}

static void accept_group(struct node_search *search, const struct node_group *group)
{
    for (size_t m = 0; m < group->n; m++) {
        struct found_node *node = &search->found[group->members[m]];
        node_search_join(search, group->members[0], group->members[m]);
        if (node->is_chosen) continue;
        node->is_chosen = true;
        node->reason = group->n > 1 ? NODE_CONDITIONAL : NODE_SINGLE;
        node->given = group->drops[m];
        node->n_context = (uint32_t)others_of(group, m, node->context);
    }
}

/* Each of its members a clear discovery. */
static bool is_justified(const struct node_search *search, const struct node_group *group,
                         const bool *is_discovery)
{
    for (size_t m = 0; m < group->n; m++)
        if (!is_discovery[m] || !node_search_is_clear(search, &group->drops[m])) return false;
    return true;
}

static status_t decide_groups(struct node_search *search, size_t first, size_t *n_accepted,
                              struct error *err)
{
    size_t at = 0;
    bool *is_discovery = calloc(search->tests.n - first + 1, sizeof *is_discovery);
    if (!is_discovery) return error_set(err, ST_NO_MEMORY, "search: %zu groups", search->n_groups);
    const status_t status = test_family_decide(&search->tests, search->params->selection.fdr_q,
                                               first, is_discovery, err);
    for (size_t g = 0; g < search->n_groups && status == ST_OK; g++) {
        const struct node_group *group = &search->groups[g];
        if (is_justified(search, group, is_discovery + at)) {
            accept_group(search, group);
            ++*n_accepted;
        }
        at += group->n;
    }
    free(is_discovery);
    return status;
}

/* Small ones first, then by their members: not in the order in which their places came up. */
static int compare_groups(const void *a, const void *b)
{
    const struct node_group *left = a, *right = b;
    if (left->n != right->n) return left->n < right->n ? -1 : 1;
    for (size_t m = 0; m < left->n; m++)
        if (left->members[m] != right->members[m])
            return left->members[m] < right->members[m] ? -1 : 1;
    return 0;
}

status_t node_search_run_groups(struct node_search *search, size_t *n_accepted, struct error *err)
{
    const size_t first = search->tests.n;
    status_t status = ST_OK;
    *n_accepted = 0;
    if (search->n_groups > 1)
        qsort(search->groups, search->n_groups, sizeof *search->groups, compare_groups);
    for (size_t g = 0; g < search->n_groups; g++) measure_group(search, &search->groups[g]);
    if (search->view.n_missing > 0) return ST_OK;
    for (size_t g = 0; g < search->n_groups; g++)
        for (size_t m = 0; m < search->groups[g].n && status == ST_OK; m++)
            status = test_family_add(&search->tests, search->groups[g].drops[m].p, err);
    return status == ST_OK ? decide_groups(search, first, n_accepted, err) : status;
}
