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

/* --- scale, noise, order ------------------------------------------------------------------ */

/* Far fewer variants than nodes: groups are split only where they show. */
Test(circuit_search, groups_find_it_among_thousands)
{
    static const enum world_kind kinds[] = {WORLD_CHAIN, WORLD_OR, WORLD_BACKUP, WORLD_THREE};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct world world = {kinds[k], 4096, 12, false, 13, 4};
        struct circuit_search_params params = world_params(&world);
        struct circuit_search_result result;
        params.nodes.max_singles = 512;
        params.nodes.max_sweep = 512;
        params.nodes.max_pairs = 50;
        struct circuit_search *search = world_search(&world, &params, &result);
        expect_truth(&world, &result);
        cr_expect(result.n_variants < 1500, "%s: %zu variants", KIND_NAMES[kinds[k]],
                  result.n_variants);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

static void expect_same_node(const struct found_node *got, const struct found_node *want,
                             const char *what, uint32_t v)
{
    cr_expect(got->is_chosen == want->is_chosen && got->reason == want->reason &&
                  got->class_of == want->class_of && got->n_context == want->n_context,
              "%s, node %u: chosen %d, reason %d, class %u, given %u", what, v, got->is_chosen,
              (int)got->reason, got->class_of, got->n_context);
    cr_expect_arr_eq(got->context, want->context, got->n_context * sizeof *got->context);
    cr_expect_float_eq(got->alone.mean, want->alone.mean, 0.0);
    cr_expect_float_eq(got->given.mean, want->given.mean, 0.0, "%s, node %u", what, v);
    cr_expect_float_eq(got->given.p, want->given.p, 0.0);
}

/* To the last bit of every effect: the order changes what is asked, not what is found. */
static void expect_any_order(const struct world *world, struct circuit_search_params params,
                             uint64_t n_orders)
{
    uint32_t order[WORLD_MAX_NODES];
    struct circuit_search_result want, got;
    struct circuit_search *search = world_search(world, &params, &want), *again;
    for (uint64_t seed = 1; seed <= n_orders; seed++) {
        struct draw draw = draw_stream(seed, DRAW_CIRCUIT, 3);
        for (uint32_t v = 0; v < world->n; v++) order[v] = v;
        draw_shuffle(&draw, order, world->n);
        params.nodes.order = order;
        again = world_search(world, &params, &got);
        expect_truth(world, &got);
        for (uint32_t v = 0; v < world->n; v++)
            expect_same_node(&got.nodes[v], &want.nodes[v], KIND_NAMES[world->kind], v);
        cr_expect(got.pairs.others.n == want.pairs.others.n &&
                  got.pairs.others.n_tested == want.pairs.others.n_tested);
        circuit_search_result_fini(&got);
        circuit_search_destroy(&again);
    }
    circuit_search_result_fini(&want);
    circuit_search_destroy(&search);
}

Test(circuit_search, any_order_finds_the_same)
{
    for (int kind = 0; kind < WORLD_N_KINDS; kind++) {
        const struct world few = {(enum world_kind)kind, 24, 40, false, 4, 4};
        const struct world cut = {(enum world_kind)kind, 60, 40, false, 4, 4};
        expect_any_order(&few, world_params(&few), 5);
        expect_any_order(&cut, world_params(&cut), 3); /* more pairs than are tested */
    }
}

Test(circuit_search, any_order_of_groups_finds_the_same)
{
    static const enum world_kind kinds[] = {WORLD_CHAIN, WORLD_BACKUP, WORLD_THREE};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct world world = {kinds[k], 1024, 12, false, 13, 4};
        struct circuit_search_params params = world_params(&world);
        params.nodes.max_singles = 256;
        params.nodes.max_sweep = 512;
        params.nodes.max_pairs = 50;
        expect_any_order(&world, params, 2);
    }
}

/* --- pairs -------------------------------------------------------------------------------- */

/* The two largest effects among those that are not true; of equal ones the first. */
static void largest_idle(const struct world *world, const struct circuit_search_result *result,
                         uint32_t pair[2])
{
    uint32_t first = UINT32_MAX, second = UINT32_MAX;
    for (uint32_t v = 0; v < world->n; v++) {
        const double size = fabs(result->nodes[v].alone.mean);
        if (world_is_true(world, v)) continue;
        if (first == UINT32_MAX || size > fabs(result->nodes[first].alone.mean)) {
            second = first;
            first = v;
        } else if (second == UINT32_MAX || size > fabs(result->nodes[second].alone.mean)) {
            second = v;
        }
    }
    pair[0] = first < second ? first : second;
    pair[1] = first < second ? second : first;
}

/* Was the pair ever asked for? The search is run to its end. */
static bool asks_pair(const struct world *world, const struct circuit_search_params *params,
                      const uint32_t pair[2])
{
    struct circuit_search *search = NULL;
    struct search_batch batch;
    bool is_asked = false;
    cr_assert_eq(circuit_search_create(&search, params, NULL), ST_OK);
    do {
        cr_assert_eq(circuit_search_ask(search, &batch, NULL), ST_OK);
        for (size_t v = 0; v < batch.n; v++)
            is_asked = is_asked || (batch.variants[v].n_nodes == 2 &&
                                    memcmp(batch.variants[v].nodes, pair, 2 * sizeof *pair) == 0);
    } while (world_answer_once(world, search));
    circuit_search_destroy(&search);
    return is_asked;
}

Test(circuit_search, pairs_are_those_of_the_largest_effects_in_any_order)
{
    const struct world world = {WORLD_CHAIN, 40, 40, false, 4, 4};
    struct circuit_search_params params = world_params(&world);
    struct circuit_search_result result;
    uint32_t order[40], pair[2];
    params.nodes.max_pairs = 1;
    params.n_bootstraps = 0;
    struct circuit_search *search = world_search(&world, &params, &result);
    largest_idle(&world, &result, pair);
    cr_expect_eq(result.pairs.others.n, 38 * 37 / 2);
    cr_expect_eq(result.pairs.others.n_tested, 1);
    cr_expect(result.pairs.chosen.n == 1 && result.pairs.chosen.n_tested == 1);
    cr_expect_not(result.is_truncated);
    cr_expect(asks_pair(&world, &params, pair));
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct draw draw = draw_stream(seed, DRAW_CIRCUIT, 3);
        for (uint32_t v = 0; v < world.n; v++) order[v] = v;
        draw_shuffle(&draw, order, world.n);
        params.nodes.order = order;
        cr_expect(asks_pair(&world, &params, pair), "order %llu", (unsigned long long)seed);
    }
    circuit_search_result_fini(&result);
    circuit_search_destroy(&search);
}

Test(circuit_search, pairs_are_counted)
{
    static const struct {
        uint32_t n_nodes;
        size_t max_pairs, n, n_tested;
    } cases[] = {{12, 500, 45, 45}, {60, 500, 58 * 57 / 2, 496}, {60, 0, 58 * 57 / 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct world world = {WORLD_CHAIN, cases[i].n_nodes, 40, false, 4, 4};
        struct circuit_search_params params = world_params(&world);
        struct circuit_search_result result;
        params.nodes.max_pairs = cases[i].max_pairs;
        struct circuit_search *search = world_search(&world, &params, &result);
        cr_expect_eq(result.pairs.others.n, cases[i].n);
        cr_expect_eq(result.pairs.others.n_tested, cases[i].n_tested, "%zu",
                     result.pairs.others.n_tested);
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
        params.nodes.is_conditional = false;
        search = world_search(&world, &params, &result);
        cr_expect(result.pairs.others.n == 0 && result.pairs.chosen.n == 0, "none is asked for");
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

/* --- classes ------------------------------------------------------------------------------ */

/* Nodes that back each other up are one class, others are alone. */
Test(circuit_search, what_stands_in_for_one_another_is_a_class)
{
    const struct world world = {WORLD_THREE, 16, 40, false, 3, 4};
    const struct circuit_search_params params = world_params(&world);
    struct circuit_search_result result;
    struct circuit_search *search = world_search(&world, &params, &result);
    cr_assert_eq(result.circuit.n_nodes, 4);
    for (int m = 0; m < 3; m++) cr_expect_str_eq(result.circuit.nodes[m].role, "class 1");
    cr_expect_str_eq(result.circuit.nodes[3].role, "");
    cr_expect_eq(result.nodes[8].reason, NODE_SINGLE);
    cr_expect_eq(result.nodes[5].reason, NODE_CONDITIONAL);
    cr_expect_eq(result.nodes[5].n_context, 2);
    cr_expect_eq(result.nodes[5].context[0], 2);
    cr_expect_eq(result.nodes[5].context[1], 6);
    circuit_search_result_fini(&result);
    circuit_search_destroy(&search);
}

/* --- asking and telling ------------------------------------------------------------------- */

/* As after a restart: the same tells give the same batches, whatever their size. */
Test(circuit_search, the_same_tells_ask_the_same)
{
    const struct world world = {WORLD_TWO_ORS, 24, 40, false, 6, 4};
    struct circuit_search_params params = world_params(&world);
    struct circuit_search *first = NULL, *second = NULL;
    struct search_batch a, b;
    params.max_batch = 7;
    cr_assert_eq(circuit_search_create(&first, &params, NULL), ST_OK);
    cr_assert_eq(circuit_search_create(&second, &params, NULL), ST_OK);
    for (;;) {
        cr_assert_eq(circuit_search_ask(first, &a, NULL), ST_OK);
        cr_assert_eq(circuit_search_ask(second, &b, NULL), ST_OK);
        cr_assert_eq(a.n, b.n);
        cr_assert(a.n <= 7);
        for (size_t v = 0; v < a.n; v++) {
            cr_assert_eq(a.variants[v].n_nodes, b.variants[v].n_nodes);
            cr_assert_arr_eq(a.variants[v].nodes, b.variants[v].nodes,
                             a.variants[v].n_nodes * sizeof(uint32_t));
        }
        if (a.n == 0) break;
        cr_assert(world_answer_once(&world, first) && world_answer_once(&world, second));
    }
    circuit_search_destroy(&first);
    circuit_search_destroy(&second);
}

/* Never more than was allowed; what was found by then is said, and that it is cut short. */
Test(circuit_search, ends_where_its_variants_end)
{
    const struct world world = {WORLD_BACKUP, 24, 40, false, 6, 4};
    for (size_t most = 1; most <= 120; most += 7) {
        struct circuit_search_params params = world_params(&world);
        struct circuit_search_result result;
        params.max_variants = most;
        struct circuit_search *search = world_search(&world, &params, &result);
        cr_expect(result.n_variants <= most);
        cr_expect(result.is_truncated);
        for (uint32_t v = 0; v < 24; v++)
            cr_expect(!result.nodes[v].is_chosen || world_is_true(&world, v));
        circuit_search_result_fini(&result);
        circuit_search_destroy(&search);
    }
}

Test(circuit_search, values_that_cannot_be_are_refused)
{
    const struct world world = {WORLD_CHAIN, 12, 4, false, 6, 4};
    const struct circuit_search_params params = world_params(&world);
    struct circuit_search *search = NULL;
    struct search_batch batch;
    struct circuit_search_result result;
    struct error err = {.status = ST_OK};
    double values[SEARCH_DEFAULT_BATCH * 4] = {0.0}, full[4] = {1.0, 1.0, 1.0, 1.0};
    cr_assert_eq(circuit_search_create(&search, &params, NULL), ST_OK);
    cr_expect_eq(circuit_search_tell(search, values, full, &err), ST_CONFLICT);
    cr_assert_eq(circuit_search_ask(search, &batch, NULL), ST_OK);
    cr_assert_eq(batch.n, 13);
    cr_expect_eq(circuit_search_finish(search, &result, NULL), ST_CONFLICT);
    values[5] = NAN;
    error_clear(&err);
    cr_expect_eq(circuit_search_tell(search, values, full, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "search: variant 1, prompt 1: not finite");
    values[5] = 0.0;
    cr_expect_eq(circuit_search_tell(search, values, full, NULL), ST_OK);
    cr_assert_eq(circuit_search_ask(search, &batch, NULL), ST_OK);
    full[2] = 2.0;
    error_clear(&err);
    cr_expect_eq(circuit_search_tell(search, values, full, &err), ST_CONFLICT);
    circuit_search_destroy(&search);
}

Test(circuit_search, parameters_out_of_range_are_named)
{
    const struct world world = {WORLD_CHAIN, 12, 4, false, 6, 4};
    const struct circuit_search_params good = world_params(&world);
    static const uint32_t twice[12] = {0, 0};
    struct circuit_search_params wrong[6] = {good, good, good, good, good, good};
    static const char *const texts[] = {"search: fdr_q 2 is not in (0, 1)",
                                        "search: max_variants 0 is not in 1 .. 16777216",
                                        "search: the order names 0 twice, or too much",
                                        "search: max_context 9 is not in 1 .. 8",
                                        "search: 1001 bootstraps, 1000 at most",
                                        "search: max_batch is 0"};
    wrong[0].nodes.selection.fdr_q = 2.0;
    wrong[1].max_variants = 0;
    wrong[2].nodes.order = twice;
    wrong[3].nodes.max_context = 9;
    wrong[4].n_bootstraps = 1001;
    wrong[5].max_batch = 0;
    for (size_t i = 0; i < 6; i++) {
        struct circuit_search *search = NULL;
        struct error err = {.status = ST_OK};
        cr_expect_eq(circuit_search_create(&search, &wrong[i], &err), ST_BAD_INPUT);
        cr_expect_str_eq(err.text, texts[i]);
        cr_expect(search == NULL);
    }
}
