/* Circuits of a verdict plan as runs: the one that is judged, and random ones. */
#include "coordinator/circuit/circuit_verdict_plan_parts.h"

#include "common/size.h"
#include "coordinator/circuit/edge_candidates.h"

#include <stdlib.h>
#include <string.h>

/* --- runs --------------------------------------------------------------------------------- */

static status_t append_place(struct circuit_verdict_plan *plan, int64_t place, struct error *err)
{
    if (plan->n_runs == plan->n_room) {
        const size_t n_room = 2 * plan->n_room + 64;
        int64_t *grown = realloc(plan->places, n_room * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "verdict plan: %zu runs", n_room);
        plan->places = grown;
        plan->n_room = n_room;
    }
    plan->places[plan->n_runs++] = place;
    return ST_OK;
}

status_t verdict_plan_add_run(struct planning *planning, size_t n_edges, struct error *err)
{
    struct circuit_verdict_plan *plan = planning->plan;
    struct search_variant variant = {
        .nodes = planning->nodes, .edges = planning->left_out, .n_edges = n_edges};
    size_t place = 0;
    bool is_refused = false;
    for (uint32_t v = 0; v < plan->n_candidates; v++)
        if (planning->off[v]) planning->nodes[variant.n_nodes++] = v;
    if (variant.n_nodes + n_edges == 0) return append_place(plan, ROW_OF_FULL, err);
    const status_t status = variant_values_want(plan->sets, &variant, &is_refused, err);
    if (status != ST_OK) return status;
    if (is_refused || !variant_values_place(plan->sets, &variant, &place))
        return error_set(err, ST_TOO_LARGE, "verdict plan: more than %d sets",
                         (int)VARIANT_VALUES_MAX);
    return append_place(plan, (int64_t)place, err);
}

void verdict_plan_switch_all(struct planning *planning, bool is_off)
{
    memset(planning->off, is_off, planning->plan->n_candidates * sizeof *planning->off);
}

/* --- circuits ----------------------------------------------------------------------------- */

static bool names_pos_embed(const struct circuit *circuit)
{
    for (size_t e = 0; e < circuit->n_edges; e++)
        if (circuit->edges[e].sender.type == COMPONENT_POS_EMBED) return true;
    return false;
}

/* Index in a sorted list; n if it is not there. */
static size_t find_edge(const struct circuit_edge *sorted, size_t n,
                        const struct circuit_edge *edge)
{
    const struct circuit_edge *found =
        n > 0 ? bsearch(edge, sorted, n, sizeof *sorted, circuit_edge_compare_items) : NULL;
    return found ? (size_t)(found - sorted) : n;
}

static int compare_indexes(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* What there can be among the nodes of a circuit; the caller frees *out. */
static status_t edges_among(const struct planning *planning, const struct planned_circuit *circuit,
                            struct circuit_edge **out, size_t *n, struct error *err)
{
    const struct edge_rule rule = {planning->params->is_parallel,
                                   names_pos_embed(planning->params->circuit)};
    const size_t n_nodes = planning->plan->n_members;
    struct component *nodes = malloc((n_nodes + 1) * sizeof *nodes);
    if (!nodes) return error_set(err, ST_NO_MEMORY, "verdict plan: %zu nodes", n_nodes);
    for (size_t m = 0; m < n_nodes; m++)
        nodes[m] = planning->params->candidates.components[circuit->nodes[m]];
    qsort(nodes, n_nodes, sizeof *nodes, component_compare_items);
    const status_t status = edge_candidates(nodes, n_nodes, &rule, out, n, err);
    free(nodes);
    return status;
}

/* Its own edges, into left_out; returns how many. */
static size_t list_own_edges(struct planning *planning, const struct planned_circuit *circuit)
{
    const struct circuit_verdict_plan *plan = planning->plan;
    const size_t n = planning->params->circuit->n_edges;
    for (size_t e = 0; e < n; e++)
        planning->left_out[e] = (uint32_t)find_edge(plan->edges, plan->n_edges, &circuit->edges[e]);
    qsort(planning->left_out, n, sizeof *planning->left_out, compare_indexes);
    return n;
}

/* Edges among its nodes that it does not claim, into left_out. */
static status_t list_other_edges(struct planning *planning, const struct planned_circuit *circuit,
                                 size_t *n_out, struct error *err)
{
    const struct circuit_verdict_plan *plan = planning->plan;
    struct circuit_edge *among = NULL;
    size_t n_among = 0;
    *n_out = 0;
    if (planning->params->circuit->n_edges == 0) return ST_OK;
    bool *is_own = calloc(plan->n_edges, sizeof *is_own);
    if (!is_own) return error_set(err, ST_NO_MEMORY, "verdict plan: %zu edges", plan->n_edges);
    const size_t n_own = list_own_edges(planning, circuit);
    for (size_t e = 0; e < n_own; e++) is_own[planning->left_out[e]] = true;
    const status_t status = edges_among(planning, circuit, &among, &n_among, err);
    for (size_t e = 0; e < n_among && status == ST_OK; e++) {
        const size_t at = find_edge(plan->edges, plan->n_edges, &among[e]);
        if (!is_own[at]) planning->left_out[(*n_out)++] = (uint32_t)at;
    }
    free(among);
    free(is_own);
    return status;
}

status_t verdict_plan_add_circuit(struct planning *planning, const struct planned_circuit *circuit,
                                  const bool *without, struct error *err)
{
    size_t n_edges;
    const status_t status = list_other_edges(planning, circuit, &n_edges, err);
    if (status != ST_OK) return status;
    verdict_plan_switch_all(planning, true);
    for (size_t m = 0; m < planning->plan->n_members; m++)
        planning->off[circuit->nodes[m]] = without && without[m];
    return verdict_plan_add_run(planning, n_edges, err);
}

status_t verdict_plan_add_complement(struct planning *planning,
                                     const struct planned_circuit *circuit, struct error *err)
{
    const bool has_edges = planning->params->circuit->n_edges > 0;
    verdict_plan_switch_all(planning, false);
    for (size_t m = 0; m < planning->plan->n_members; m++)
        planning->off[circuit->nodes[m]] = !has_edges;
    return verdict_plan_add_run(planning, has_edges ? list_own_edges(planning, circuit) : 0, err);
}

struct planned_circuit verdict_plan_own_circuit(const struct planning *planning)
{
    return (struct planned_circuit){planning->members, planning->params->circuit->edges};
}

/* --- random circuits ---------------------------------------------------------------------- */

size_t verdict_plan_find(const struct planning *planning, const struct component *component)
{
    const struct circuit_candidates *candidates = &planning->params->candidates;
    const struct component *found = candidates->n > 0
                                        ? bsearch(component, candidates->components, candidates->n,
                                                  sizeof *component, component_compare_items)
                                        : NULL;
    return found ? (size_t)(found - candidates->components) : candidates->n;
}

/* Every component of every one must be a candidate: where candidates are at named positions, one
 * may have fewer of those than the node that it stands in for. */
static status_t check_random(const struct planning *planning, struct error *err)
{
    const struct random_circuits *random = &planning->random;
    char name[COMPONENT_NAME_SIZE];
    for (size_t i = 0; i < random->n * random->n_nodes; i++)
        if (verdict_plan_find(planning, &random->nodes[i]) == planning->params->candidates.n)
            return error_set(err, ST_BAD_INPUT, "%s is in a random circuit, and no candidate",
                             component_name(&random->nodes[i], name));
    return ST_OK;
}

/* The r-th of them; its candidates into nodes [n_members]. */
static struct planned_circuit random_circuit(const struct planning *planning, size_t r,
                                             uint32_t *nodes)
{
    const struct random_circuits *random = &planning->random;
    for (size_t m = 0; m < random->n_nodes; m++)
        nodes[m] = (uint32_t)verdict_plan_find(planning, &random->nodes[r * random->n_nodes + m]);
    return (struct planned_circuit){nodes, random->n_edges > 0 ? random->edges + r * random->n_edges
                                                               : NULL};
}

status_t verdict_plan_add_random(struct planning *planning, struct error *err)
{
    status_t status = check_random(planning, err);
    if (status != ST_OK) return status;
    uint32_t *nodes = malloc((planning->plan->n_members + 1) * sizeof *nodes);
    if (!nodes) return error_set(err, ST_NO_MEMORY, "verdict plan: random circuits");
    for (int is_complement = 0; is_complement < 2; is_complement++)
        for (size_t r = 0; r < planning->random.n && status == ST_OK; r++) {
            const struct planned_circuit circuit = random_circuit(planning, r, nodes);
            status = is_complement ? verdict_plan_add_complement(planning, &circuit, err)
                                   : verdict_plan_add_circuit(planning, &circuit, NULL, err);
        }
    free(nodes);
    return status;
}

/* --- edges -------------------------------------------------------------------------------- */

static status_t append_edges(struct circuit_verdict_plan *plan, const struct circuit_edge *edges,
                             size_t n, struct error *err)
{
    size_t n_all, n_bytes;
    if (n == 0 || !edges) return ST_OK;
    if (!size_add(plan->n_edges, n, &n_all) || !size_mul(n_all, sizeof *edges, &n_bytes))
        return error_set(err, ST_NO_MEMORY, "verdict plan: %zu edges", n);
    struct circuit_edge *grown = realloc(plan->edges, n_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "verdict plan: %zu edges", n_all);
    memcpy(grown + plan->n_edges, edges, n * sizeof *edges);
    plan->edges = grown;
    plan->n_edges = n_all;
    return ST_OK;
}

static status_t append_edges_of(struct planning *planning, const struct planned_circuit *circuit,
                                struct error *err)
{
    struct circuit_edge *among = NULL;
    size_t n = 0;
    status_t status = edges_among(planning, circuit, &among, &n, err);
    if (status == ST_OK) status = append_edges(planning->plan, among, n, err);
    if (status == ST_OK)
        status =
            append_edges(planning->plan, circuit->edges, planning->params->circuit->n_edges, err);
    free(among);
    return status;
}

status_t verdict_plan_collect_edges(struct planning *planning, struct error *err)
{
    struct circuit_verdict_plan *plan = planning->plan;
    const struct planned_circuit own = verdict_plan_own_circuit(planning);
    size_t n = 0;
    if (planning->params->circuit->n_edges == 0) return ST_OK;
    uint32_t *nodes = malloc((plan->n_members + 1) * sizeof *nodes);
    if (!nodes) return error_set(err, ST_NO_MEMORY, "verdict plan: edges");
    status_t status = append_edges_of(planning, &own, err);
    for (size_t r = 0; r < planning->random.n && status == ST_OK; r++) {
        const struct planned_circuit circuit = random_circuit(planning, r, nodes);
        status = append_edges_of(planning, &circuit, err);
    }
    free(nodes);
    if (status != ST_OK) return status;
    qsort(plan->edges, plan->n_edges, sizeof *plan->edges, circuit_edge_compare_items);
    for (size_t e = 0; e < plan->n_edges; e++)
        if (n == 0 || circuit_edge_compare(&plan->edges[n - 1], &plan->edges[e]) != 0)
            plan->edges[n++] = plan->edges[e];
    plan->n_edges = n;
    planning->left_out = malloc((n + 1) * sizeof *planning->left_out);
    return planning->left_out ? ST_OK : error_set(err, ST_NO_MEMORY, "verdict plan: %zu edges", n);
}
