#include "coordinator/circuit/edge_stage.h"

#include "coordinator/circuit/circuit_stability.h"
#include "coordinator/circuit/edge_candidates.h"

#include <stdlib.h>
#include <string.h>

/* --- which edges -------------------------------------------------------------------------- */

/* The nodes found, ascending; the caller frees *out. */
static status_t list_nodes(const struct edge_stage_plan *plan, struct component **out, size_t *n,
                           struct error *err)
{
    struct component *nodes = malloc((plan->n_nodes + 1) * sizeof *nodes);
    if (!nodes) return error_set(err, ST_NO_MEMORY, "search: %zu nodes", plan->n_nodes);
    *n = 0;
    for (size_t v = 0; v < plan->n_nodes; v++)
        if (plan->nodes[v].is_chosen) nodes[(*n)++] = plan->candidates[v];
    *out = nodes;
    return ST_OK;
}

static bool is_end(const struct component *nodes, size_t n, const struct component *component)
{
    if (component_is_graph_end(component)) return true;
    return n > 0 && bsearch(component, nodes, n, sizeof *nodes, component_compare_items) != NULL;
}

/* Of the given ones those whose ends are found, ascending, each once. */
static status_t filter_given(const struct edge_search_params *params, const struct component *nodes,
                             size_t n_nodes, struct edge_stage *stage, struct error *err)
{
    size_t n = 0, n_kept = 0;
    stage->edges = malloc((params->n_given + 1) * sizeof *stage->edges);
    if (!stage->edges) return error_set(err, ST_NO_MEMORY, "search: %zu edges", params->n_given);
    for (size_t e = 0; e < params->n_given; e++)
        if (is_end(nodes, n_nodes, &params->given[e].sender) &&
            is_end(nodes, n_nodes, &params->given[e].receiver))
            stage->edges[n++] = params->given[e];
    qsort(stage->edges, n, sizeof *stage->edges, circuit_edge_compare_items);
    for (size_t e = 0; e < n; e++)
        if (n_kept == 0 || circuit_edge_compare(&stage->edges[n_kept - 1], &stage->edges[e]) != 0)
            stage->edges[n_kept++] = stage->edges[e];
    stage->task.n = n_kept;
    return ST_OK;
}

static status_t choose_candidates(struct edge_stage *stage, struct error *err)
{
    const struct edge_search_params *params = stage->plan.params;
    const struct edge_rule rule = {params->is_parallel, params->has_pos_embed};
    struct component *nodes = NULL;
    size_t n = 0;
    status_t status = list_nodes(&stage->plan, &nodes, &n, err);
    if (status == ST_OK && params->given)
        status = filter_given(params, nodes, n, stage, err);
    else if (status == ST_OK)
        status = edge_candidates(nodes, n, &rule, &stage->edges, &stage->task.n, err);
    free(nodes);
    return status;
}

/* --- life --------------------------------------------------------------------------------- */

static status_t begin(struct edge_stage *stage, size_t number, size_t tau_index, struct error *err)
{
    struct node_search_place place = stage->plan.place;
    place.number = number;
    return edge_search_create(&stage->searches[number], &stage->task, &place, tau_index, err);
}

status_t edge_stage_init(struct edge_stage *out, const struct edge_stage_plan *plan,
                         struct error *err)
{
    *out = (struct edge_stage){.plan = *plan};
    status_t status = choose_candidates(out, err);
    out->order = malloc((out->task.n + 1) * sizeof *out->order);
    out->searches = calloc(plan->n_bootstraps + 1, sizeof(struct edge_search *));
    if (status == ST_OK && (!out->order || !out->searches))
        status = error_set(err, ST_NO_MEMORY, "search: %zu edges", out->task.n);
    if (status == ST_OK)
        status = edge_search_order(plan->params, out->edges, out->task.n, out->order, err);
    out->task = (struct edge_task){plan->params,     out->edges,  out->task.n,   out->order,
                                   plan->candidates, plan->nodes, plan->n_nodes, plan->selection};
    if (status == ST_OK) status = begin(out, 0, EDGE_SEARCH_MAX_TAUS, err);
    if (status != ST_OK) edge_stage_fini(out);
    return status;
}

void edge_stage_fini(struct edge_stage *stage)
{
    for (size_t s = 0; stage->searches && s <= stage->plan.n_bootstraps; s++)
        edge_search_destroy(&stage->searches[s]);
    free(stage->searches);
    free(stage->edges);
    free(stage->order);
    *stage = (struct edge_stage){.searches = NULL};
}

/* --- running ------------------------------------------------------------------------------ */

status_t edge_stage_advance(struct edge_stage *stage, const double *full, bool *is_over,
                            struct error *err)
{
    status_t status = edge_search_advance(stage->searches[0], full, is_over, err);
    const bool is_main_over = *is_over;
    for (size_t s = 1; s <= stage->plan.n_bootstraps && status == ST_OK && is_main_over; s++) {
        bool is_this_over = false;
        if (!stage->searches[s])
            status = begin(stage, s, edge_search_chosen_tau(stage->searches[0]), err);
        if (status == ST_OK)
            status = edge_search_advance(stage->searches[s], full, &is_this_over, err);
        *is_over = *is_over && is_this_over;
    }
    return status;
}

status_t edge_stage_stability(const struct edge_stage *stage, struct score_value *out,
                              struct error *err)
{
    const struct found_kind kind = {sizeof *stage->edges, circuit_edge_compare_items};
    const size_t n_searches = stage->plan.n_bootstraps, n = stage->task.n;
    struct found_set *sets = calloc(n_searches + 1, sizeof *sets);
    struct circuit_edge *room = malloc((n_searches * n + 1) * sizeof *room);
    status_t status = ST_OK;
    size_t n_used = 0;
    if (!sets || !room) status = error_set(err, ST_NO_MEMORY, "search: %zu searches", n_searches);
    for (size_t s = 0; s < n_searches && status == ST_OK; s++) {
        const struct found_edge *found = edge_search_edges(stage->searches[s + 1]);
        sets[s].items = room + n_used;
        for (size_t e = 0; e < n; e++)
            if (found[e].is_kept) {
                room[n_used++] = stage->edges[e];
                sets[s].n++;
            }
    }
    if (status == ST_OK) status = circuit_stability(sets, n_searches, &kind, out, err);
    free(sets);
    free(room);
    return status;
}

bool edge_stage_is_truncated(const struct edge_stage *stage)
{
    for (size_t s = 0; s <= stage->plan.n_bootstraps; s++)
        if (stage->searches[s] && edge_search_is_truncated(stage->searches[s])) return true;
    return false;
}
