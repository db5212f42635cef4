/* Searches of models of which everything is known (search_world.h). */
#include "tests/unit/search_world.h"

static const char *const KIND_NAMES[WORLD_N_KINDS] = {
    "chain", "or", "and", "graded", "backup", "half backup", "negative", "or of three", "two ors"};

static size_t n_chosen(const struct circuit_search_result *result, const struct world *world)
{
    size_t n = 0;
    for (uint32_t v = 0; v < world->n; v++) n += result->nodes[v].is_chosen;
    return n;
}

static void expect_truth(const struct world *world, const struct circuit_search_result *result)
{
    for (uint32_t v = 0; v < world->n; v++)
        cr_expect_eq(result->nodes[v].is_chosen, world_is_true(world, v),
                     "%s%s, %u nodes, node %u: reason %d, p %g, drop %g", KIND_NAMES[world->kind],
                     world->is_divergence ? " by KL" : "", world->n, v,
                     (int)result->nodes[v].reason, result->nodes[v].given.p,
                     result->nodes[v].given.mean);
    cr_expect(result->is_found && !result->is_truncated);
    cr_expect(result->stability.is_defined && result->stability.value >= 0.99, "%s: %g",
              KIND_NAMES[world->kind], result->stability.value);
}

static void expect_found(const struct world *world)
{
    const struct circuit_search_params params = world_params(world);
    struct circuit_search_result result;
    struct circuit_search *search = world_search(world, &params, &result);
    expect_truth(world, &result);
    cr_log_info("%s: %zu variants, %zu rounds", KIND_NAMES[world->kind], result.n_variants,
                result.n_rounds);
    circuit_search_result_fini(&result);
    circuit_search_destroy(&search);
}

Test(circuit_search, finds_every_gate_exactly)
{
    for (int kind = 0; kind < WORLD_N_KINDS; kind++)
        for (uint64_t seed = 1; seed <= 3; seed++)
            expect_found(&(struct world){(enum world_kind)kind, 12, 40, false, seed, 4});
}

Test(circuit_search, finds_every_gate_by_divergence)
{
    for (int kind = 0; kind < WORLD_N_KINDS; kind++)
        expect_found(&(struct world){(enum world_kind)kind, 12, 40, true, 5, 4});
}

Test(circuit_search, finds_every_gate_among_many)
{
    for (int kind = 0; kind < WORLD_N_KINDS; kind++)
        expect_found(&(struct world){(enum world_kind)kind, 150, 24, false, 7, 4});
}

/* What the sweep of one at a time finds: nothing that another node stands in for. */
Test(circuit_search, a_single_sweep_misses_what_stands_in)
{
    static const struct {
        enum world_kind kind;
        size_t n_found;
    } cases[] = {{WORLD_CHAIN, 2}, {WORLD_OR, 1},    {WORLD_AND, 3},     {WORLD_BACKUP, 1},
                 {WORLD_HALF, 2},  {WORLD_THREE, 1}, {WORLD_TWO_ORS, 0}, {WORLD_NEGATIVE, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct world world = {cases[i].kind, 12, 40, false, 1, 4};
        struct circuit_search_params params = world_params(&world);
        struct circuit_search_result result;
        params.nodes.is_conditional = false;
        struct circuit_search *search = world_search(&world, &params, &result);
        cr_expect_eq(n_chosen(&result, &world), cases[i].n_found, "%s: %zu",
                     KIND_NAMES[cases[i].kind], n_chosen(&result, &world));
        cr_expect(!result.is_adaptive && result.n_rounds == 1 && result.n_variants == 13);
        cr_expect_eq(result.is_found, cases[i].n_found > 0);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

/* A sweep without the conditional part is node_selection(), its bootstraps are those of
 * node_selection_again(). */
Test(circuit_search, a_single_sweep_is_node_selection)
{
    const struct world world = {WORLD_GRADED, 12, 40, false, 11, 4};
    struct circuit_search_params params = world_params(&world);
    struct circuit_search_result result;
    double effects[12 * 40], total[40], full[40];
    struct node_effect want[12];
    bool again[20 * 12];
    struct score_value stability;
    params.nodes.is_conditional = false;
    params.nodes.selection.share_min = 0.0;
    params.n_bootstraps = 20;
    struct circuit_search *search = world_search(&world, &params, &result);
    world_row(&world, &(struct search_variant){.n_nodes = 0}, full);
    for (uint32_t v = 0; v < 12; v++) {
        world_row(&world, &(struct search_variant){&v, NULL, 1, 0}, &effects[v * 40]);
        for (int i = 0; i < 40; i++)
            effects[v * 40 + (uint32_t)i] = full[i] - effects[v * 40 + (uint32_t)i];
    }
    world_row(
        &world,
        &(struct search_variant){(uint32_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, NULL, 12, 0},
        total);
    for (int i = 0; i < 40; i++) total[i] = full[i] - total[i];
    const struct node_effects given = {params.candidates, 12, params.units, effects, total};
    cr_assert_eq(node_selection(&given, &params.nodes.selection, want, NULL), ST_OK);
    for (uint32_t v = 0; v < 12; v++) {
        cr_expect_eq(result.nodes[v].is_chosen, want[v].is_chosen, "node %u", v);
        cr_expect_float_eq(result.nodes[v].alone.mean, want[v].mean, 0.0);
        cr_expect_float_eq(result.nodes[v].alone.p, want[v].p, 0.0);
    }
    cr_assert_eq(node_selection_again(&given, &params.nodes.selection, 20, world.seed, again, NULL),
                 ST_OK);
    cr_assert_eq(node_selection_stability(&given, again, 20, &stability, NULL), ST_OK);
    cr_expect_float_eq(result.node_stability.value, stability.value, 0.0);
    circuit_search_result_fini(&result);
    circuit_search_destroy(&search);
}
