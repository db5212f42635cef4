/* Edges of circuits of which everything is known: two layers of four heads, the metric a closed
 * form of the nodes and edges that are ablated. */
#include "tests/unit/search_world.h"

enum { N_HEADS = 8, N_EACH = 32 };

/* embed -> a previous-token head (one, or either of two) -> K of an induction head -> logits. */
struct wired {
    bool is_or; /* L0H1 or L0H3; else L0H1 alone */
    bool is_divergence;
};

static const char *const CHAIN_EDGES[] = {"embed->L0H1.q", "embed->L0H1.k", "embed->L0H1.v",
                                          "L0H1->L1H0.k",  "embed->L1H0.q", "embed->L1H0.v",
                                          "L1H0->logits"};
static const char *const OTHER_ROUTE[] = {"embed->L0H3.q", "embed->L0H3.k", "embed->L0H3.v",
                                          "L0H3->L1H0.k"};

struct ablated {
    bool heads[N_HEADS];
    const struct circuit_edge *edges;
    const struct search_variant *variant;
};

static bool has_edge(const struct ablated *ablated, const char *name)
{
    char text[EDGE_NAME_SIZE];
    for (size_t e = 0; e < ablated->variant->n_edges; e++)
        if (strcmp(circuit_edge_name(&ablated->edges[ablated->variant->edges[e]], text), name) == 0)
            return false;
    return true;
}

static bool has_all(const struct ablated *ablated, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!has_edge(ablated, names[i])) return false;
    return true;
}

/* Idle nodes and edges move it by a hair. */
static double wired_value(const struct wired *wired, const struct ablated *ablated, uint32_t prompt)
{
    const struct world world = {.seed = 17};
    const bool first = !ablated->heads[1] && has_all(ablated, CHAIN_EDGES, 4);
    const bool second = wired->is_or && !ablated->heads[3] && has_all(ablated, OTHER_ROUTE, 4);
    const bool last = !ablated->heads[4] && has_all(ablated, CHAIN_EDGES + 4, 3);
    double value = (4.0 + 0.2 * world_noise(&world, 1, prompt)) * ((first || second) && last);
    for (size_t e = 0; e < ablated->variant->n_edges; e++)
        value += 0.002 * world_noise(&world, 2 + ablated->variant->edges[e], prompt);
    return value;
}

static void wired_row(const struct wired *wired, const struct circuit_edge *edges,
                      const struct search_variant *variant, double *row)
{
    const struct search_variant none = {.n_nodes = 0};
    struct ablated ablated = {.edges = edges, .variant = variant};
    const struct ablated whole = {.edges = edges, .variant = &none};
    for (size_t v = 0; v < variant->n_nodes; v++) ablated.heads[variant->nodes[v]] = true;
    for (uint32_t i = 0; i < N_EACH; i++) {
        const double value = wired_value(wired, &ablated, i);
        const double gap = value - wired_value(wired, &whole, i);
        row[i] = wired->is_divergence ? 0.1 * gap * gap : value;
    }
}

static struct circuit_search_params wired_params(const struct wired *wired)
{
    const struct world world = {.n = N_HEADS, .n_prompts = N_EACH, .seed = 1};
    struct circuit_search_params params = world_params(&world);
    params.is_divergence = wired->is_divergence;
    params.edges = SEARCH_EDGES;
    return params;
}

static struct circuit_search *search_wired(const struct wired *wired,
                                           const struct circuit_search_params *params,
                                           struct circuit_search_result *result)
{
    const struct search_variant none = {.n_nodes = 0};
    struct circuit_search *search = NULL;
    struct search_batch batch;
    struct error err = {.status = ST_OK};
    double full[N_EACH];
    size_t n;
    cr_assert_eq(circuit_search_create(&search, params, &err), ST_OK, "%s", err.text);
    wired_row(wired, NULL, &none, full);
    for (;;) {
        cr_assert_eq(circuit_search_ask(search, &batch, &err), ST_OK, "%s", err.text);
        if (batch.n == 0) break;
        double *rows = malloc(batch.n * N_EACH * sizeof *rows);
        cr_assert(rows != NULL);
        for (size_t v = 0; v < batch.n; v++)
            wired_row(wired, circuit_search_edges(search, &n), &batch.variants[v],
                      rows + v * N_EACH);
        cr_assert_eq(circuit_search_tell(search, rows, full, &err), ST_OK, "%s", err.text);
        free(rows);
    }
    cr_assert_eq(circuit_search_finish(search, result, &err), ST_OK, "%s", err.text);
    return search;
}

static bool is_true_edge(const struct wired *wired, const char *name)
{
    for (size_t i = 0; i < sizeof CHAIN_EDGES / sizeof CHAIN_EDGES[0]; i++)
        if (strcmp(name, CHAIN_EDGES[i]) == 0) return true;
    for (size_t i = 0; wired->is_or && i < sizeof OTHER_ROUTE / sizeof OTHER_ROUTE[0]; i++)
        if (strcmp(name, OTHER_ROUTE[i]) == 0) return true;
    return false;
}

static void expect_true_edges(const struct wired *wired, struct circuit_search *search,
                              const struct circuit_search_result *result)
{
    char name[EDGE_NAME_SIZE];
    size_t n, n_kept = 0;
    const struct circuit_edge *edges = circuit_search_edges(search, &n);
    cr_assert_eq(n, result->n_edges);
    for (size_t e = 0; e < n; e++) {
        (void)circuit_edge_name(&edges[e], name);
        cr_expect_eq(result->edges[e].is_kept, is_true_edge(wired, name), "%s: %g, given %g", name,
                     result->edges[e].alone.mean, result->edges[e].given.mean);
        n_kept += result->edges[e].is_kept;
    }
    cr_expect_eq(n_kept, wired->is_or ? 11 : 7);
    cr_expect_eq(result->circuit.n_edges, n_kept);
    cr_expect_eq(result->circuit.n_nodes, wired->is_or ? 3 : 2);
    cr_expect(result->stability.is_defined && result->stability.value >= 0.99);
    cr_expect(result->is_adaptive && !result->is_truncated);
}

Test(edge_search, patching_finds_exactly_the_wiring)
{
    for (int k = 0; k < 4; k++) {
        const struct wired wired = {k % 2 == 1, k / 2 == 1};
        const struct circuit_search_params params = wired_params(&wired);
        struct circuit_search_result result;
        struct circuit_search *search = search_wired(&wired, &params, &result);
        expect_true_edges(&wired, search, &result);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

static const struct found_edge *edge_of(const struct circuit_search *search,
                                        const struct circuit_search_result *result,
                                        const char *name)
{
    char text[EDGE_NAME_SIZE];
    size_t n;
    const struct circuit_edge *edges = circuit_search_edges(search, &n);
    for (size_t e = 0; e < n; e++)
        if (strcmp(circuit_edge_name(&edges[e], text), name) == 0) return &result->edges[e];
    cr_assert(false, "no edge %s", name);
    return NULL;
}

/* One route of an OR does not show while the other is there. */
Test(edge_search, an_edge_that_another_stands_in_for_shows_given_its_class)
{
    const struct wired wired = {true, false};
    const struct circuit_search_params params = wired_params(&wired);
    struct circuit_search_result result;
    struct circuit_search *search = search_wired(&wired, &params, &result);
    const struct found_edge *route = edge_of(search, &result, "L0H1->L1H0.k");
    cr_expect(!route->alone.is_chosen && route->given.is_chosen && route->has_given);
    cr_expect(edge_of(search, &result, "L1H0->logits")->alone.is_chosen);
    circuit_search_result_fini(&result);
    circuit_search_destroy(&search);
}

/* ACDC keeps one of two routes: that is the algorithm. One tau is too large for anything. */
Test(edge_search, acdc_takes_the_largest_tau_that_is_enough)
{
    for (int k = 0; k < 4; k++) {
        const struct wired wired = {k % 2 == 1, false};
        struct circuit_search_params params = wired_params(&wired);
        struct circuit_search_result result;
        params.edge_params.is_acdc = true;
        params.edge_params.is_grouped = k / 2 == 1;
        params.edge_params.n_taus = 3;
        params.edge_params.taus[0] = 0.05;
        params.edge_params.taus[1] = 1.0;
        params.edge_params.taus[2] = 100.0;
        struct circuit_search *search = search_wired(&wired, &params, &result);
        cr_expect_eq(result.n_taus, 3);
        cr_expect_eq(result.chosen_tau, 1);
        cr_expect_eq(result.taus[0].n_kept, 7);
        cr_expect_eq(result.taus[1].n_kept, 7);
        cr_expect_eq(result.taus[2].n_kept, 0);
        cr_expect_float_eq(result.taus[1].sufficiency.value, 1.0, 0.01);
        cr_expect_float_eq(result.taus[2].sufficiency.value, 0.0, 0.01);
        cr_expect_eq(result.circuit.n_edges, 7);
        cr_expect(edge_of(search, &result, "L1H0->logits")->is_kept);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

/* The order says which of two routes goes first, and is tried last. */
Test(edge_search, the_order_decides_between_equals_only)
{
    static const char *const routes[] = {"L0H1->L1H0.k", "L0H3->L1H0.k"};
    for (int k = 0; k < 2; k++) {
        const struct wired wired = {true, false};
        struct circuit_search_params params = wired_params(&wired);
        struct circuit_edge promising;
        struct circuit_search_result result;
        cr_assert_eq(circuit_edge_parse(routes[k], strlen(routes[k]), &promising, NULL), ST_OK);
        params.edge_params.is_acdc = true;
        params.edge_params.order = &promising;
        params.edge_params.n_order = 1;
        struct circuit_search *search = search_wired(&wired, &params, &result);
        cr_expect(edge_of(search, &result, routes[k])->is_kept);
        cr_expect_not(edge_of(search, &result, routes[1 - k])->is_kept);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

Test(edge_search, given_edges_are_the_candidates)
{
    static const char *const names[] = {"L1H0->logits", "L0H1->L1H0.k", "L0H1->L1H0.q",
                                        "L0H2->L1H0.k" /* not found: left out */};
    const struct wired wired = {false, false};
    struct circuit_search_params params = wired_params(&wired);
    struct circuit_edge given[4];
    struct circuit_search_result result;
    for (int i = 0; i < 4; i++)
        cr_assert_eq(circuit_edge_parse(names[i], strlen(names[i]), &given[i], NULL), ST_OK);
    params.edge_params.given = given;
    params.edge_params.n_given = 4;
    struct circuit_search *search = search_wired(&wired, &params, &result);
    cr_expect_eq(result.n_edges, 3);
    cr_expect_eq(result.circuit.n_edges, 2);
    circuit_search_result_fini(&result);
    circuit_search_destroy(&search);
}
