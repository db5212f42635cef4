#include "coordinator/circuit/edge_candidates.h"

#include "coordinator/circuit/circuit.h"

#include <stdlib.h>

struct edge_list {
    struct circuit_edge *edges; /* NULL: only count */
    size_t n;
};

static void add_into(struct edge_list *list, const struct component *sender,
                     const struct component *receiver, const struct edge_rule *rule)
{
    for (int input = 0; input < EDGE_N_INPUTS; input++) {
        const struct circuit_edge edge = {*sender, *receiver, (enum edge_input)input};
        if (!circuit_edge_is_legal(&edge, rule->is_parallel)) continue;
        if (list->edges) list->edges[list->n] = edge;
        list->n++;
    }
}

static void add_all(struct edge_list *list, const struct component *nodes, size_t n,
                    const struct edge_rule *rule)
{
    const struct component embed = {.type = COMPONENT_EMBED}, logits = {.type = COMPONENT_LOGITS};
    const struct component pos_embed = {.type = COMPONENT_POS_EMBED};
    for (size_t r = 0; r <= n; r++) {
        const struct component *receiver = r < n ? &nodes[r] : &logits;
        add_into(list, &embed, receiver, rule);
        if (rule->has_pos_embed) add_into(list, &pos_embed, receiver, rule);
        for (size_t s = 0; s < n; s++) add_into(list, &nodes[s], receiver, rule);
    }
}

status_t edge_candidates(const struct component *nodes, size_t n, const struct edge_rule *rule,
                         struct circuit_edge **out, size_t *n_out, struct error *err)
{
    struct edge_list list = {.edges = NULL};
    if (n > CIRCUIT_MAX_EDGES / 4) return error_set(err, ST_TOO_LARGE, "edges of %zu nodes", n);
    add_all(&list, nodes, n, rule);
    if (list.n > CIRCUIT_MAX_EDGES)
        return error_set(err, ST_TOO_LARGE, "%zu edges of %zu nodes, %d at most", list.n, n,
                         (int)CIRCUIT_MAX_EDGES);
    list.edges = malloc((list.n + 1) * sizeof *list.edges);
    if (!list.edges) return error_set(err, ST_NO_MEMORY, "%zu edges", list.n);
    list.n = 0;
    add_all(&list, nodes, n, rule);
    qsort(list.edges, list.n, sizeof *list.edges, circuit_edge_compare_items);
    *out = list.edges;
    *n_out = list.n;
    return ST_OK;
}
