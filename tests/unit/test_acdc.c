/* ACDC evaluated ahead of itself against the plain loop, one edge at a time. */
#include "coordinator/circuit/acdc.h"
#include "tests/support/session_windows.h"

#include <math.h>

enum { N_EDGES = 300, N_PROMPTS = 6 };

/* A loss in which edges cost what they cost, pairs of them more, and some of them gain. */
struct graph {
    uint64_t seed;
    double noise; /* of every single edge */
    double share; /* of edges, and of pairs, that cost much */
    bool is_monotone;
};

static double draw_unit(const struct graph *graph, uint64_t a, uint64_t b)
{
    const uint64_t mixed = hash_mix64(hash_mix64(graph->seed ^ hash_mix64(a)) ^ b);
    return (double)(mixed >> 11) / 9007199254740992.0;
}

static double cost_of(const struct graph *graph, uint32_t edge)
{
    const double cost = draw_unit(graph, 1, edge);
    if (cost > 1.0 - graph->share) return cost;
    return graph->noise * (graph->is_monotone ? cost : cost - 0.5);
}

/* What pairs of neighbours in a ring of strides cost when both are gone. */
static double loss_of(const struct graph *graph, const bool *is_off, uint32_t prompt)
{
    double loss = 0.0;
    for (uint32_t e = 0; e < N_EDGES; e++) {
        const uint32_t other = (e * 7 + 3) % N_EDGES;
        const double pair = draw_unit(graph, 2, e);
        if (!is_off[e]) continue;
        loss += cost_of(graph, e) * (1.0 + 0.1 * draw_unit(graph, 3 + e, prompt));
        if (is_off[other] && other != e && pair > 1.0 - graph->share) loss += pair;
    }
    return loss;
}

static double mean_loss(const struct graph *graph, const bool *is_off)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < N_PROMPTS; i++) sum += loss_of(graph, is_off, i);
    return sum / N_PROMPTS;
}

/* The algorithm as it is written down. Returns the evaluations, each of which waits for the one
 * before it. */
static size_t run_sequential(const struct graph *graph, const struct acdc_params *params,
                             bool *is_kept)
{
    bool is_off[N_EDGES] = {false};
    double old = mean_loss(graph, is_off);
    size_t n_evaluations = 0;
    for (size_t k = 0; k < params->n; k++) {
        const uint32_t edge = params->order[k];
        is_off[edge] = true;
        const double new = mean_loss(graph, is_off);
        const double result = params->is_absolute ? fabs(new - old) : new - old;
        n_evaluations++;
        if (result < params->tau)
            old = new;
        else
            is_off[edge] = false;
        is_kept[edge] = !is_off[edge];
    }
    return n_evaluations;
}

struct run {
    bool is_kept[N_EDGES];
    size_t n_rounds, n_variants;
};

static void answer(const struct graph *graph, struct variant_values *values)
{
    const struct search_batch batch = variant_values_batch(values, 100000);
    double *rows = malloc((batch.n + 1) * N_PROMPTS * sizeof *rows);
    cr_assert(rows != NULL);
    for (size_t v = 0; v < batch.n; v++) {
        bool is_off[N_EDGES] = {false};
        for (size_t e = 0; e < batch.variants[v].n_edges; e++)
            is_off[batch.variants[v].edges[e]] = true;
        for (uint32_t i = 0; i < N_PROMPTS; i++)
            rows[v * N_PROMPTS + i] = loss_of(graph, is_off, i);
    }
    cr_assert_eq(variant_values_tell(values, rows, NULL), ST_OK);
    free(rows);
}

static void run_ahead(const struct graph *graph, const struct acdc_params *params, struct run *out)
{
    static const uint32_t units_of[N_PROMPTS] = {0, 1, 2, 3, 4, 5};
    static const double full[N_PROMPTS];
    const struct prompt_units units = {units_of, N_PROMPTS, N_PROMPTS};
    struct variant_values *values = NULL;
    struct effect_sample sample;
    struct search_view view;
    struct acdc acdc;
    cr_assert_eq(variant_values_create(&values, N_PROMPTS, 100000, NULL), ST_OK);
    cr_assert_eq(effect_sample_init(&sample, &units, 1, 0, NULL), ST_OK);
    sample.is_divergence = true; /* the rows are losses */
    search_view_init(&view, values);
    view.full = full;
    cr_assert_eq(acdc_init(&acdc, params, NULL), ST_OK);
    for (out->n_rounds = 0; !acdc.is_over; out->n_rounds++) {
        search_view_begin(&view);
        acdc_advance(&acdc, &view, &sample);
        if (view.n_missing > 0) answer(graph, values);
    }
    out->n_variants = variant_values_n_known(values);
    memcpy(out->is_kept, acdc.is_kept, sizeof out->is_kept);
    acdc_fini(&acdc);
    search_view_fini(&view);
    effect_sample_fini(&sample);
    variant_values_destroy(&values);
}

static void shuffled_order(uint64_t seed, uint32_t order[N_EDGES])
{
    struct draw draw = draw_stream(seed, DRAW_CIRCUIT, 99);
    for (uint32_t e = 0; e < N_EDGES; e++) order[e] = e;
    draw_shuffle(&draw, order, N_EDGES);
}

static size_t n_kept(const bool *is_kept)
{
    size_t n = 0;
    for (size_t e = 0; e < N_EDGES; e++) n += is_kept[e];
    return n;
}

static const double TAUS[] = {0.0, 0.001, 0.02, 0.3, 2.0};
enum { N_TAUS = sizeof TAUS / sizeof TAUS[0] };

Test(acdc, keeps_what_the_sequential_algorithm_keeps)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (size_t t = 0; t < N_TAUS; t++) {
            const struct graph graph = {seed, 0.004, 0.04, false};
            uint32_t order[N_EDGES];
            bool want[N_EDGES];
            struct run got;
            shuffled_order(seed, order);
            const struct acdc_params params = {
                .n = N_EDGES, .order = order, .tau = TAUS[t], .is_absolute = seed % 2 == 0};
            const size_t n_steps = run_sequential(&graph, &params, want);
            run_ahead(&graph, &params, &got);
            cr_expect_arr_eq(got.is_kept, want, sizeof want, "seed %llu, tau %g",
                             (unsigned long long)seed, TAUS[t]);
            cr_expect(got.n_rounds <= n_kept(want) + 20, "tau %g: %zu rounds, %zu kept", TAUS[t],
                      got.n_rounds, n_kept(want));
            if (n_kept(want) < N_EDGES / 10) cr_expect(5 * got.n_rounds <= n_steps);
        }
}

/* With a right hint every window holds. */
Test(acdc, a_hint_saves_rounds_and_changes_nothing)
{
    const struct graph graph = {3, 0.004, 0.04, false};
    uint32_t order[N_EDGES];
    double hints[N_EDGES];
    bool want[N_EDGES];
    struct run plain, hinted, misled;
    shuffled_order(8, order);
    struct acdc_params params = {.n = N_EDGES, .order = order, .tau = 0.02};
    (void)run_sequential(&graph, &params, want);
    run_ahead(&graph, &params, &plain);
    for (uint32_t e = 0; e < N_EDGES; e++) hints[e] = want[e] ? 1.0 : 0.0;
    params.hints = hints;
    run_ahead(&graph, &params, &hinted);
    for (uint32_t e = 0; e < N_EDGES; e++) hints[e] = 1.0 - hints[e];
    run_ahead(&graph, &params, &misled);
    cr_expect_arr_eq(plain.is_kept, want, sizeof want);
    cr_expect_arr_eq(hinted.is_kept, want, sizeof want);
    cr_expect_arr_eq(misled.is_kept, want, sizeof want);
    cr_expect(hinted.n_rounds < plain.n_rounds && plain.n_rounds < N_EDGES / 5,
              "%zu and %zu rounds", hinted.n_rounds, plain.n_rounds);
    cr_expect_eq(hinted.n_variants, N_EDGES);
}

Test(acdc, groups_cost_little_and_keep_the_same_where_removing_never_helps)
{
    const struct graph graph = {5, 0.0, 0.01, true};
    uint32_t order[N_EDGES];
    bool want[N_EDGES];
    struct run got;
    shuffled_order(2, order);
    const struct acdc_params params = {
        .n = N_EDGES, .order = order, .tau = 0.02, .is_grouped = true};
    const size_t n_steps = run_sequential(&graph, &params, want);
    run_ahead(&graph, &params, &got);
    cr_expect_arr_eq(got.is_kept, want, sizeof want);
    cr_expect(2 * got.n_variants < n_steps, "%zu variants for %zu, %zu kept", got.n_variants,
              n_steps, n_kept(want));
}

/* new - old == tau stays: 0.5 is exact. */
Test(acdc, at_equality_an_edge_stays)
{
    static const uint32_t order[] = {0};
    static const uint32_t units_of[] = {0, 1};
    static const double full[] = {0.0, 0.0}, row[] = {0.25, 0.75};
    const struct prompt_units units = {units_of, 2, 2};
    for (int is_grouped = 0; is_grouped < 2; is_grouped++) {
        const struct acdc_params params = {
            .n = 1, .order = order, .tau = 0.5, .is_grouped = is_grouped == 1};
        struct variant_values *values = NULL;
        struct effect_sample sample;
        struct search_view view;
        struct acdc acdc;
        cr_assert_eq(variant_values_create(&values, 2, 8, NULL), ST_OK);
        cr_assert_eq(effect_sample_init(&sample, &units, 1, 0, NULL), ST_OK);
        sample.is_divergence = true;
        search_view_init(&view, values);
        view.full = full;
        cr_assert_eq(acdc_init(&acdc, &params, NULL), ST_OK);
        acdc_advance(&acdc, &view, &sample);
        cr_assert_eq(variant_values_batch(values, 8).n, 1);
        cr_assert_eq(variant_values_tell(values, row, NULL), ST_OK);
        search_view_begin(&view);
        acdc_advance(&acdc, &view, &sample);
        cr_expect(acdc.is_over && acdc.is_kept[0]);
        acdc_fini(&acdc);
        search_view_fini(&view);
        effect_sample_fini(&sample);
        variant_values_destroy(&values);
    }
}
