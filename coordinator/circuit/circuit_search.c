#include "coordinator/circuit/circuit_search.h"

#include "coordinator/circuit/edge_stage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct circuit_search {
    struct circuit_search_params params;
    struct variant_values *values;
    struct node_search **searches; /* [1 + n_bootstraps]: the search, then it again */
    double *full;                  /* [n_prompts] */
    bool has_full, is_over;
    struct edge_stage edges; /* once the nodes are found, where asked for */
    bool has_edges;
    size_t n_rounds;
};

struct circuit_search_params circuit_search_params_default(uint64_t seed)
{
    return (struct circuit_search_params){.nodes = node_search_params_default(),
                                          .n_bootstraps = 5,
                                          .seed = seed,
                                          .max_variants = 20000,
                                          .max_batch = SEARCH_DEFAULT_BATCH,
                                          .edge_params = edge_search_params_default()};
}

/* --- life --------------------------------------------------------------------------------- */

static status_t check_candidates(const struct circuit_search_params *params, struct error *err)
{
    char name[COMPONENT_NAME_SIZE];
    for (size_t i = 0; i < params->nodes.n; i++) {
        const struct component *candidate = &params->candidates[i];
        if (component_is_graph_end(candidate))
            return error_set(err, ST_BAD_INPUT, "search: %s is an end of the graph, no candidate",
                             component_name(candidate, name));
        if (i > 0 && component_compare(candidate - 1, candidate) >= 0)
            return error_set(err, ST_BAD_INPUT, "search: candidate %s is out of order",
                             component_name(candidate, name));
    }
    return ST_OK;
}

static status_t check_params(const struct circuit_search_params *params, struct error *err)
{
    if (params->n_bootstraps > SEARCH_MAX_BOOTSTRAPS)
        return error_set(err, ST_BAD_INPUT, "search: %zu bootstraps, %d at most",
                         params->n_bootstraps, (int)SEARCH_MAX_BOOTSTRAPS);
    if (params->max_batch == 0) return error_set(err, ST_BAD_INPUT, "search: max_batch is 0");
    if (params->edges != SEARCH_NO_EDGES) {
        const status_t status = edge_search_check(&params->edge_params, err);
        if (status != ST_OK) return status;
    }
    return check_candidates(params, err);
}

static status_t create_searches(struct circuit_search *search, struct error *err)
{
    const size_t n = search->params.n_bootstraps + 1;
    status_t status = ST_OK;
    search->searches = calloc(n, sizeof(struct node_search *));
    search->full = calloc(search->params.units.n_prompts, sizeof *search->full);
    if (!search->searches || !search->full)
        return error_set(err, ST_NO_MEMORY, "search: %zu searches", n);
    for (size_t s = 0; s < n && status == ST_OK; s++) {
        const struct node_search_place place = {search->values, &search->params.units,
                                                search->params.is_divergence, search->params.seed,
                                                s};
        status = node_search_create(&search->searches[s], &search->params.nodes, &place, err);
    }
    return status;
}

status_t circuit_search_create(struct circuit_search **out,
                               const struct circuit_search_params *params, struct error *err)
{
    status_t status = check_params(params, err);
    if (status != ST_OK) return status;
    struct circuit_search *search = calloc(1, sizeof *search);
    if (!search) return error_set(err, ST_NO_MEMORY, "search: %zu candidates", params->nodes.n);
    search->params = *params;
    status =
        variant_values_create(&search->values, params->units.n_prompts, params->max_variants, err);
    if (status == ST_OK) status = create_searches(search, err);
    if (status != ST_OK) {
        circuit_search_destroy(&search);
        return status;
    }
    *out = search;
    return ST_OK;
}

void circuit_search_destroy(struct circuit_search **search)
{
    if (!*search) return;
    for (size_t s = 0; (*search)->searches && s <= (*search)->params.n_bootstraps; s++)
        node_search_destroy(&(*search)->searches[s]);
    if ((*search)->has_edges) edge_stage_fini(&(*search)->edges);
    free((*search)->searches);
    free((*search)->full);
    variant_values_destroy(&(*search)->values);
    free(*search);
    *search = NULL;
}

/* --- asking and telling ------------------------------------------------------------------- */

/* All searches as far as they go; over when none wants anything. The search of all units goes
 * first, so that it is the last to lack variants. */
static status_t advance_nodes(struct circuit_search *search, struct error *err)
{
    status_t status = ST_OK;
    search->is_over = true;
    for (size_t s = 0; s <= search->params.n_bootstraps && status == ST_OK; s++) {
        bool is_over;
        status = node_search_advance(search->searches[s], search->full, &is_over, err);
        search->is_over = search->is_over && is_over;
    }
    return status;
}

static bool is_any_found(const struct circuit_search *search)
{
    const struct found_node *found = node_search_nodes(search->searches[0]);
    for (size_t i = 0; i < search->params.nodes.n; i++)
        if (found[i].is_chosen) return true;
    return false;
}

static status_t begin_edges(struct circuit_search *search, struct error *err)
{
    const struct circuit_search_params *params = &search->params;
    const struct edge_stage_plan plan = {
        .params = &params->edge_params,
        .candidates = params->candidates,
        .nodes = node_search_nodes(search->searches[0]),
        .n_nodes = params->nodes.n,
        .selection = params->nodes.selection,
        .place = {search->values, &params->units, params->is_divergence, params->seed, 0},
        .n_bootstraps = params->n_bootstraps};
    const status_t status = edge_stage_init(&search->edges, &plan, err);
    search->has_edges = status == ST_OK;
    return status;
}

static status_t advance(struct circuit_search *search, struct error *err)
{
    status_t status = search->has_edges ? ST_OK : advance_nodes(search, err);
    const bool is_wanted =
        search->has_edges ||
        (search->is_over && search->params.edges != SEARCH_NO_EDGES && is_any_found(search));
    if (status != ST_OK || !is_wanted) return status;
    if (!search->has_edges) status = begin_edges(search, err);
    if (status == ST_OK)
        status = edge_stage_advance(&search->edges, search->full, &search->is_over, err);
    return status;
}

status_t circuit_search_ask(struct circuit_search *search, struct search_batch *out,
                            struct error *err)
{
    status_t status = ST_OK;
    *out = variant_values_batch(search->values, search->params.max_batch);
    if (out->n > 0 || search->is_over) return ST_OK;
    status = advance(search, err);
    if (status == ST_OK) *out = variant_values_batch(search->values, search->params.max_batch);
    return status;
}

static status_t check_told(const struct circuit_search *search, size_t n, const double *values,
                           const double *full, struct error *err)
{
    const size_t n_prompts = search->params.units.n_prompts;
    if (n == 0) return error_set(err, ST_CONFLICT, "search: values of nothing that was asked");
    for (size_t i = 0; i < n_prompts; i++)
        if (!isfinite(full[i]))
            return error_set(err, ST_BAD_INPUT, "search: the whole model, prompt %zu: not finite",
                             i);
    for (size_t i = 0; i < n * n_prompts; i++)
        if (!isfinite(values[i]))
            return error_set(err, ST_BAD_INPUT, "search: variant %zu, prompt %zu: not finite",
                             i / n_prompts, i % n_prompts);
    for (size_t i = 0; i < n_prompts && search->has_full; i++)
        if (full[i] < search->full[i] || full[i] > search->full[i])
            return error_set(err, ST_CONFLICT,
                             "search: the whole model, prompt %zu: %.17g, and %.17g before", i,
                             full[i], search->full[i]);
    return ST_OK;
}

status_t circuit_search_tell(struct circuit_search *search, const double *values,
                             const double *full, struct error *err)
{
    const struct search_batch batch =
        variant_values_batch(search->values, search->params.max_batch);
    status_t status = check_told(search, batch.n, values, full, err);
    if (status == ST_OK) status = variant_values_tell(search->values, values, err);
    if (status != ST_OK) return status;
    memcpy(search->full, full, search->params.units.n_prompts * sizeof *full);
    search->has_full = true;
    search->n_rounds++;
    return ST_OK;
}

struct search_progress circuit_search_progress(const struct circuit_search *search)
{
    return (struct search_progress){variant_values_n_known(search->values), search->n_rounds,
                                    search->has_edges};
}

const struct circuit_edge *circuit_search_edges(const struct circuit_search *search, size_t *n)
{
    *n = search->has_edges ? search->edges.task.n : 0;
    return search->has_edges ? search->edges.edges : NULL;
}

/* --- what it says ------------------------------------------------------------------------- */

/* Classes of several nodes get names by their first members. */
static status_t add_nodes(const struct circuit_search *search, struct circuit *circuit,
                          struct error *err)
{
    const struct found_node *found = node_search_nodes(search->searches[0]);
    const size_t n = search->params.nodes.n;
    size_t n_classes = 0;
    status_t status = ST_OK;
    size_t *sizes = calloc(2 * n, sizeof *sizes);
    if (!sizes) return error_set(err, ST_NO_MEMORY, "search: %zu candidates", n);
    size_t *numbers = sizes + n;
    for (size_t i = 0; i < n; i++) sizes[found[i].class_of] += found[i].is_chosen;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        char role[CIRCUIT_TEXT_SIZE];
        const size_t class_of = found[i].class_of;
        if (!found[i].is_chosen) continue;
        if (sizes[class_of] > 1 && numbers[class_of] == 0) numbers[class_of] = ++n_classes;
        (void)snprintf(role, sizeof role, "class %zu", numbers[class_of]);
        status = circuit_add_node(circuit, &search->params.candidates[i],
                                  sizes[class_of] > 1 ? role : NULL, err);
    }
    free(sizes);
    return status;
}

static status_t add_edges(const struct circuit_search *search, struct circuit *circuit,
                          struct error *err)
{
    const struct found_edge *found = edge_search_edges(search->edges.searches[0]);
    status_t status = ST_OK;
    for (size_t e = 0; e < search->edges.task.n && status == ST_OK; e++)
        if (found[e].is_kept) status = circuit_add_edge(circuit, &search->edges.edges[e], err);
    return status;
}

static status_t node_stability(const struct circuit_search *search, struct score_value *out,
                               struct error *err)
{
    const struct node_effects effects = {.components = search->params.candidates,
                                         .n = search->params.nodes.n};
    const size_t n_searches = search->params.n_bootstraps;
    bool *is_chosen = calloc(n_searches * effects.n + 1, sizeof *is_chosen);
    if (!is_chosen) return error_set(err, ST_NO_MEMORY, "search: %zu searches", n_searches);
    for (size_t s = 0; s < n_searches; s++)
        for (size_t i = 0; i < effects.n; i++)
            is_chosen[s * effects.n + i] = node_search_nodes(search->searches[s + 1])[i].is_chosen;
    const status_t status = node_selection_stability(&effects, is_chosen, n_searches, out, err);
    free(is_chosen);
    return status;
}

static bool is_truncated(const struct circuit_search *search)
{
    for (size_t s = 0; s <= search->params.n_bootstraps; s++)
        if (node_search_is_truncated(search->searches[s])) return true;
    return search->has_edges && edge_stage_is_truncated(&search->edges);
}

static struct score_value lower_of(struct score_value a, struct score_value b)
{
    if (!a.is_defined || !b.is_defined) return a.is_defined ? a : b;
    return a.value < b.value ? a : b;
}

static status_t measure_stability(const struct circuit_search *search,
                                  struct circuit_search_result *result, struct error *err)
{
    status_t status = node_stability(search, &result->node_stability, err);
    if (status == ST_OK && search->has_edges)
        status = edge_stage_stability(&search->edges, &result->edge_stability, err);
    result->stability = lower_of(result->node_stability, result->edge_stability);
    return status;
}

static void read_edges(const struct circuit_search *search, struct circuit_search_result *result)
{
    const struct edge_search *main_search = search->edges.searches[0];
    result->edges = edge_search_edges(main_search);
    result->n_edges = search->edges.task.n;
    result->taus = edge_search_taus(main_search, &result->n_taus);
    result->chosen_tau = edge_search_chosen_tau(main_search);
}

status_t circuit_search_finish(struct circuit_search *search, struct circuit_search_result *out,
                               struct error *err)
{
    if (!search->is_over) return error_set(err, ST_CONFLICT, "search: it is not over");
    const bool is_grouped = search->params.nodes.n > search->params.nodes.max_singles;
    struct circuit_search_result result = {.nodes = node_search_nodes(search->searches[0]),
                                           .n_variants = variant_values_n_known(search->values),
                                           .n_rounds = search->n_rounds,
                                           .is_truncated = is_truncated(search),
                                           .pairs = node_search_pairs(search->searches[0]),
                                           .is_adaptive =
                                               search->params.nodes.is_conditional || is_grouped,
                                           .n_searches = search->params.n_bootstraps};
    circuit_init(&result.circuit);
    status_t status = add_nodes(search, &result.circuit, err);
    if (search->has_edges) read_edges(search, &result);
    if (status == ST_OK && search->has_edges) status = add_edges(search, &result.circuit, err);
    result.is_found = result.circuit.n_nodes > 0;
    if (status == ST_OK && result.is_found) status = circuit_finish(&result.circuit, err);
    if (status == ST_OK) status = measure_stability(search, &result, err);
    if (status == ST_OK)
        *out = result;
    else
        circuit_search_result_fini(&result);
    return status;
}

void circuit_search_result_fini(struct circuit_search_result *result)
{
    circuit_fini(&result->circuit);
}
