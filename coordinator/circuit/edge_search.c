#include "coordinator/circuit/edge_search.h"

#include "coordinator/circuit/order_quality.h"

#include "coordinator/circuit/group_split.h"
#include "coordinator/circuit/test_family.h"

#include <math.h>
#include <stdlib.h>

struct edge_search {
    const struct edge_task *task;
    struct effect_sample sample;
    struct search_view view;
    struct found_edge *found; /* [n] */
    double *hints;            /* [n] what removing each costs, in loss */
    uint32_t *all, *outside;  /* [n_nodes], [n_outside] nodes that are not of the circuit */
    uint32_t *context;        /* [n_nodes] scratch */
    size_t n_outside;
    struct clear_rule rule;
    struct acdc *acdcs;            /* [n_taus] */
    struct acdc_circuit *circuits; /* [n_taus] */
    size_t first_tau, n_taus, chosen;
    bool is_patched, is_over;
};

struct edge_search_params edge_search_params_default(void)
{
    return (struct edge_search_params){.taus = {0.01}, .n_taus = 1, .sufficiency_min = 0.8};
}

status_t edge_search_check(const struct edge_search_params *params, struct error *err)
{
    if (params->n_taus > EDGE_SEARCH_MAX_TAUS || (params->is_acdc && params->n_taus == 0))
        return error_set(err, ST_BAD_INPUT, "edge search: %zu taus, not 1 .. %d", params->n_taus,
                         (int)EDGE_SEARCH_MAX_TAUS);
    for (size_t t = 0; t < params->n_taus; t++)
        if (!isfinite(params->taus[t]))
            return error_set(err, ST_BAD_INPUT, "edge search: tau %zu is not finite", t);
    if (!isfinite(params->sufficiency_min))
        return error_set(err, ST_BAD_INPUT, "edge search: sufficiency_min is not finite");
    return ST_OK;
}

/* --- order -------------------------------------------------------------------------------- */

static size_t place_of(const struct circuit_edge *edges, size_t n, const struct circuit_edge *edge)
{
    const struct circuit_edge *found =
        n > 0 && edges ? bsearch(edge, edges, n, sizeof *edges, circuit_edge_compare_items) : NULL;
    return found ? (size_t)(found - edges) : n;
}

/* Those without a score first, from the logits down, then the smallest, the largest last. */
static status_t order_by_score(const struct edge_search_params *params,
                               const struct circuit_edge *edges, size_t n, uint32_t *order,
                               struct error *err)
{
    size_t n_named;
    struct score_value *scores = calloc(n + 1, sizeof *scores);
    if (!scores) return error_set(err, ST_NO_MEMORY, "edge search: %zu edges", n);
    for (size_t e = 0; e < n; e++) scores[e] = params->score(params->score_context, &edges[e]);
    const status_t status = order_by_size(scores, n, order, &n_named, err);
    for (size_t i = 0; status == ST_OK && i < n / 2; i++) {
        const uint32_t kept = order[i];
        order[i] = order[n - 1 - i];
        order[n - 1 - i] = kept;
    }
    free(scores);
    return status;
}

status_t edge_search_order(const struct edge_search_params *params,
                           const struct circuit_edge *edges, size_t n, uint32_t *order,
                           struct error *err)
{
    const size_t n_order = params->order ? params->n_order : 0;
    size_t n_last = 0, n_first = 0;
    if (!params->order && params->score) return order_by_score(params, edges, n, order, err);
    bool *is_listed = calloc(n + 1, sizeof *is_listed);
    if (!is_listed) return error_set(err, ST_NO_MEMORY, "edge search: %zu edges", n);
    for (size_t i = 0; i < n_order; i++) {
        const size_t at = place_of(edges, n, &params->order[i]);
        if (at == n || is_listed[at]) continue;
        is_listed[at] = true;
        order[n - ++n_last] = (uint32_t)at;
    }
    for (size_t e = n; e > 0; e--)
        if (!is_listed[e - 1]) order[n_first++] = (uint32_t)(e - 1);
    free(is_listed);
    return ST_OK;
}

/* --- life --------------------------------------------------------------------------------- */

static status_t allocate(struct edge_search *search, struct error *err)
{
    const size_t n = search->task->n, n_nodes = search->task->n_nodes;
    search->found = calloc(n + 1, sizeof *search->found);
    search->hints = calloc(n + 1, sizeof *search->hints);
    search->all = calloc(n_nodes + 1, sizeof *search->all);
    search->outside = calloc(n_nodes + 1, sizeof *search->outside);
    search->context = calloc(n_nodes + 1, sizeof *search->context);
    search->acdcs = calloc(search->n_taus + 1, sizeof *search->acdcs);
    search->circuits = calloc(search->n_taus + 1, sizeof *search->circuits);
    if (!search->found || !search->hints || !search->all || !search->outside || !search->context ||
        !search->acdcs || !search->circuits)
        return error_set(err, ST_NO_MEMORY, "edge search: %zu edges", n);
    for (uint32_t v = 0; v < n_nodes; v++) {
        search->all[v] = v;
        if (!search->task->nodes[v].is_chosen) search->outside[search->n_outside++] = v;
    }
    return ST_OK;
}

static status_t init_acdcs(struct edge_search *search, struct error *err)
{
    const struct edge_search_params *params = search->task->params;
    status_t status = ST_OK;
    for (size_t t = 0; t < search->n_taus && status == ST_OK; t++) {
        const struct acdc_params each = {.n = search->task->n,
                                         .order = search->task->order,
                                         .hints = search->hints,
                                         .base = {search->outside, search->n_outside},
                                         .tau = params->taus[search->first_tau + t],
                                         .is_absolute = params->is_absolute,
                                         .is_grouped = params->is_grouped};
        status = acdc_init(&search->acdcs[t], &each, err);
    }
    return status;
}

status_t edge_search_create(struct edge_search **out, const struct edge_task *task,
                            const struct node_search_place *place, size_t tau_index,
                            struct error *err)
{
    const bool is_one = tau_index < EDGE_SEARCH_MAX_TAUS;
    struct edge_search *search = calloc(1, sizeof *search);
    if (!search) return error_set(err, ST_NO_MEMORY, "edge search: %zu edges", task->n);
    search->task = task;
    search->first_tau = is_one ? tau_index : 0;
    search->n_taus = !task->params->is_acdc ? 0 : is_one ? 1 : task->params->n_taus;
    search_view_init(&search->view, place->values);
    status_t status =
        effect_sample_init(&search->sample, place->units, place->seed, place->number, err);
    search->sample.is_divergence = place->is_divergence;
    if (status == ST_OK) status = allocate(search, err);
    if (status == ST_OK) status = init_acdcs(search, err);
    if (status != ST_OK) {
        edge_search_destroy(&search);
        return status;
    }
    *out = search;
    return ST_OK;
}

void edge_search_destroy(struct edge_search **search)
{
    if (!*search) return;
    for (size_t t = 0; (*search)->acdcs && t < (*search)->n_taus; t++)
        acdc_fini(&(*search)->acdcs[t]);
    free((*search)->acdcs);
    free((*search)->circuits);
    free((*search)->found);
    free((*search)->hints);
    free((*search)->all);
    free((*search)->outside);
    free((*search)->context);
    search_view_fini(&(*search)->view);
    effect_sample_fini(&(*search)->sample);
    free(*search);
    *search = NULL;
}

/* --- patching ----------------------------------------------------------------------------- */

static size_t find_node(const struct edge_task *task, const struct component *component)
{
    const struct component *found = bsearch(component, task->candidates, task->n_nodes,
                                            sizeof *component, component_compare_items);
    return found ? (size_t)(found - task->candidates) : task->n_nodes;
}

/* The rest of the class of one end, appended to the context. */
static size_t append_rest(struct edge_search *search, const struct component *end, size_t n)
{
    const struct edge_task *task = search->task;
    const size_t node = find_node(task, end);
    if (node == task->n_nodes) return n;
    for (uint32_t v = 0; v < task->n_nodes; v++)
        if (v != node && task->nodes[v].is_chosen &&
            task->nodes[v].class_of == task->nodes[node].class_of)
            search->context[n++] = v;
    return n;
}

/* Nodes given which an edge is tested; none of them is an end of it. */
static size_t list_context(struct edge_search *search, const struct circuit_edge *edge)
{
    const size_t sender = find_node(search->task, &edge->sender);
    const size_t receiver = find_node(search->task, &edge->receiver);
    size_t n = append_rest(search, &edge->sender, 0), n_kept = 0;
    const bool is_one_class =
        sender < search->task->n_nodes && receiver < search->task->n_nodes &&
        search->task->nodes[sender].class_of == search->task->nodes[receiver].class_of;
    if (!is_one_class) n = append_rest(search, &edge->receiver, n);
    for (size_t i = 0; i < n; i++)
        if (search->context[i] != sender && search->context[i] != receiver)
            search->context[n_kept++] = search->context[i];
    return n_kept;
}

/* The drop when the edge is ablated beside n nodes of the context. */
static struct node_effect patch(struct edge_search *search, uint32_t edge, size_t n)
{
    const struct index_span nodes = {search->context, n}, none = {NULL, 0};
    const double *before = search_view_mixed(&search->view, nodes, none);
    const double *after = search_view_mixed(&search->view, nodes, (struct index_span){&edge, 1});
    if (!before || !after) return (struct node_effect){.p = 1.0};
    return effect_between(&search->sample, before, after);
}

static bool is_shown(const struct edge_search *search, const struct node_effect *effect)
{
    return effect_is_clear(effect, &search->rule) &&
           (!search->task->selection.is_signed || effect->mean > 0.0);
}

static status_t add_tests(const struct edge_search *search, struct test_family *tests,
                          struct error *err)
{
    status_t status = ST_OK;
    for (size_t e = 0; e < search->task->n && status == ST_OK; e++) {
        status = test_family_add(tests, search->found[e].alone.p, err);
        if (status == ST_OK && search->found[e].has_given)
            status = test_family_add(tests, search->found[e].given.p, err);
    }
    return status;
}

static status_t choose_edges(struct edge_search *search, struct error *err)
{
    struct test_family tests = {.p = NULL};
    size_t at = 0;
    status_t status = add_tests(search, &tests, err);
    bool *is_discovery = calloc(tests.n + 1, sizeof *is_discovery);
    if (status == ST_OK && !is_discovery)
        status = error_set(err, ST_NO_MEMORY, "edge search: %zu tests", tests.n);
    if (status == ST_OK) status = test_family_decide(&tests, search->rule.p, 0, is_discovery, err);
    for (size_t e = 0; e < search->task->n && status == ST_OK; e++) {
        struct found_edge *edge = &search->found[e];
        edge->alone.is_chosen = is_discovery[at++] && is_shown(search, &edge->alone);
        if (edge->has_given)
            edge->given.is_chosen = is_discovery[at++] && is_shown(search, &edge->given);
        else
            edge->given = edge->alone;
        edge->is_kept = edge->alone.is_chosen || edge->given.is_chosen;
        search->hints[e] = fmax(edge->alone.mean, edge->given.mean);
    }
    free(is_discovery);
    test_family_fini(&tests);
    return status;
}

static status_t run_patch(struct edge_search *search, struct error *err)
{
    const struct index_span all = {search->all, search->task->n_nodes}, none = {NULL, 0};
    const double *empty = search_view_mixed(&search->view, all, none);
    for (uint32_t e = 0; e < search->task->n; e++) {
        const size_t n = list_context(search, &search->task->edges[e]);
        search->found[e].has_given = n > 0;
        search->found[e].given = patch(search, e, n);
        search->found[e].alone = patch(search, e, 0);
    }
    if (search->view.n_missing > 0) return ST_OK;
    const struct node_effect span = empty
                                        ? effect_between(&search->sample, search->view.full, empty)
                                        : (struct node_effect){.p = 1.0};
    search->rule = (struct clear_rule){search->task->selection.share_min * fabs(span.mean),
                                       search->task->selection.fdr_q};
    search->is_patched = true;
    return choose_edges(search, err);
}

/* --- ACDC --------------------------------------------------------------------------------- */

static struct score_value sufficiency_of(struct edge_search *search, const struct acdc *acdc)
{
    const struct index_span all = {search->all, search->task->n_nodes}, none = {NULL, 0};
    const double *empty = search_view_mixed(&search->view, all, none);
    const double *kept = search_view_mixed(&search->view, acdc->params.base,
                                           (struct index_span){acdc->removed, acdc->n_removed});
    if (!empty || !kept) return (struct score_value){false, 0.0};
    const double of_kept = effect_between(&search->sample, kept, empty).mean;
    const double of_full = effect_between(&search->sample, search->view.full, empty).mean;
    const bool is_defined = of_full != 0.0 && isfinite(of_kept / of_full);
    return (struct score_value){is_defined, is_defined ? of_kept / of_full : 0.0};
}

static void finish_acdc(struct edge_search *search, size_t t)
{
    const struct acdc *acdc = &search->acdcs[t];
    search->circuits[t] = (struct acdc_circuit){.tau = acdc->params.tau,
                                                .is_kept = acdc->is_kept,
                                                .n_kept = search->task->n - acdc->n_removed,
                                                .sufficiency = sufficiency_of(search, acdc),
                                                .n_rounds = acdc->n_rounds,
                                                .is_truncated = acdc->n_tried < search->task->n};
}

/* A larger tau that is enough, before a smaller one; one that is enough before one that is not. */
static bool is_better(const struct acdc_circuit *a, const struct acdc_circuit *b, double enough)
{
    const bool is_enough = a->sufficiency.is_defined && a->sufficiency.value >= enough;
    const bool was_enough = b->sufficiency.is_defined && b->sufficiency.value >= enough;
    if (is_enough != was_enough) return is_enough;
    return is_enough ? a->tau > b->tau : a->tau < b->tau;
}

static void choose_tau(struct edge_search *search)
{
    const double enough = search->task->params->sufficiency_min;
    for (size_t t = 0; t < search->n_taus; t++) finish_acdc(search, t);
    for (size_t t = 1; t < search->n_taus; t++)
        if (is_better(&search->circuits[t], &search->circuits[search->chosen], enough))
            search->chosen = t;
    for (size_t e = 0; e < search->task->n && search->n_taus > 0; e++)
        search->found[e].is_kept = search->acdcs[search->chosen].is_kept[e];
}

static void run_acdc(struct edge_search *search)
{
    bool is_over = true;
    for (size_t t = 0; t < search->n_taus; t++) {
        acdc_advance(&search->acdcs[t], &search->view, &search->sample);
        is_over = is_over && search->acdcs[t].is_over;
    }
    if (!is_over || search->view.n_missing > 0) return;
    choose_tau(search);
    search->is_over = true;
}

status_t edge_search_advance(struct edge_search *search, const double *full, bool *is_over,
                             struct error *err)
{
    status_t status = ST_OK;
    search->view.full = full;
    search_view_begin(&search->view);
    if (!search->is_patched) status = run_patch(search, err);
    while (status == ST_OK && search->is_patched && !search->is_over &&
           search->view.n_missing == 0 && search->view.status == ST_OK)
        run_acdc(search);
    if (status == ST_OK && search->view.status != ST_OK)
        status = error_set(err, search->view.status, "edge search: %zu edges", search->task->n);
    *is_over = search->is_over;
    return status;
}

/* --- reading ------------------------------------------------------------------------------ */

const struct found_edge *edge_search_edges(const struct edge_search *search)
{
    return search->found;
}

const struct acdc_circuit *edge_search_taus(const struct edge_search *search, size_t *n)
{
    *n = search->n_taus;
    return search->circuits;
}

size_t edge_search_chosen_tau(const struct edge_search *search)
{
    return search->first_tau + search->chosen;
}

bool edge_search_is_truncated(const struct edge_search *search)
{
    return search->view.is_refused;
}
