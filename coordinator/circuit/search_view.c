#include "coordinator/circuit/search_view.h"

#include <stdlib.h>
#include <string.h>

void search_view_init(struct search_view *view, struct variant_values *values)
{
    *view = (struct search_view){.values = values, .status = ST_OK};
}

void search_view_fini(struct search_view *view)
{
    free(view->nodes);
    free(view->edges);
    view->nodes = view->edges = NULL;
    view->nodes_size = view->edges_size = 0;
}

void search_view_begin(struct search_view *view)
{
    view->n_missing = 0;
}

static int compare_indexes(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Sorted, each once; returns how many. */
static size_t make_set(uint32_t *items, size_t n)
{
    size_t n_kept = 0;
    bool is_sorted = true;
    for (size_t i = 1; i < n && is_sorted; i++) is_sorted = items[i - 1] < items[i];
    if (is_sorted) return n;
    qsort(items, n, sizeof *items, compare_indexes);
    for (size_t i = 0; i < n; i++)
        if (n_kept == 0 || items[n_kept - 1] != items[i]) items[n_kept++] = items[i];
    return n_kept;
}

static bool reserve(struct search_view *view, uint32_t **room, size_t *size, size_t n)
{
    if (n <= *size) return true;
    uint32_t *grown = realloc(*room, 2 * n * sizeof **room);
    if (!grown) {
        view->status = ST_NO_MEMORY;
        return false;
    }
    *room = grown;
    *size = 2 * n;
    return true;
}

static void append(uint32_t *to, size_t at, struct index_span span)
{
    if (span.n > 0) memcpy(to + at, span.items, span.n * sizeof *to);
}

static const double *look_up(struct search_view *view, const struct search_variant *variant)
{
    bool is_refused;
    if (variant->n_nodes + variant->n_edges == 0) return view->full;
    const double *row = variant_values_find(view->values, variant);
    if (row) return row;
    const status_t status = variant_values_want(view->values, variant, &is_refused, NULL);
    if (status != ST_OK) view->status = status;
    if (is_refused)
        view->is_refused = true;
    else
        view->n_missing++;
    return NULL;
}

const double *search_view_nodes(struct search_view *view, struct index_span first,
                                struct index_span second)
{
    if (!reserve(view, &view->nodes, &view->nodes_size, first.n + second.n)) return NULL;
    append(view->nodes, 0, first);
    append(view->nodes, first.n, second);
    const struct search_variant variant = {.nodes = view->nodes,
                                           .n_nodes = make_set(view->nodes, first.n + second.n)};
    return look_up(view, &variant);
}

const double *search_view_mixed(struct search_view *view, struct index_span nodes,
                                struct index_span edges)
{
    if (!reserve(view, &view->nodes, &view->nodes_size, nodes.n) ||
        !reserve(view, &view->edges, &view->edges_size, edges.n))
        return NULL;
    append(view->nodes, 0, nodes);
    append(view->edges, 0, edges);
    const struct search_variant variant = {.nodes = view->nodes,
                                           .edges = view->edges,
                                           .n_nodes = make_set(view->nodes, nodes.n),
                                           .n_edges = make_set(view->edges, edges.n)};
    return look_up(view, &variant);
}
