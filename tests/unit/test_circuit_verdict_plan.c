/* The runs that a verdict needs, on models of which everything is known (search_world.h). */
#include "coordinator/circuit/circuit_verdict.h"
#include "coordinator/circuit/circuit_verdict_plan.h"
#include "tests/unit/search_world.h"

static const struct world THREE = {WORLD_THREE, 16, 40, false, 3, 4};

static struct circuit_verdict_plan *plan_of(const struct verdict_plan_params *params)
{
    struct circuit_verdict_plan *plan = NULL;
    struct error err = {.status = ST_OK};
    cr_assert_eq(circuit_verdict_plan_create(&plan, params, &err), ST_OK, "%s", err.text);
    return plan;
}

static struct verdict_plan_params params_of(const struct world *world,
                                            const struct circuit *circuit)
{
    struct verdict_plan_params params = verdict_plan_params_default(world->seed);
    params.circuit = circuit;
    params.candidates = (struct circuit_candidates){world_candidates(world), world->n};
    return params;
}

/* Nodes of a world as a circuit; role NULL: each a class of its own. */
static void make_circuit(const struct world *world, const uint32_t *nodes, size_t n,
                         const char *role, struct circuit *circuit)
{
    const struct component *heads = world_candidates(world);
    circuit_init(circuit);
    for (size_t m = 0; m < n; m++)
        cr_assert_eq(circuit_add_node(circuit, &heads[nodes[m]], m + 1 < n ? role : NULL, NULL),
                     ST_OK);
    cr_assert_eq(circuit_finish(circuit, NULL), ST_OK);
}

static void measure(const struct world *world, struct circuit_verdict_plan *plan, double *full,
                    struct value_measures *out)
{
    const struct search_batch batch = circuit_verdict_plan_variants(plan);
    const struct search_variant none = {.n_nodes = 0};
    double *values = keep_alloc(batch.n * world->n_prompts, sizeof *values), **rows;
    rows = keep_alloc(1, sizeof *rows); /* reachable as long as the test lives */
    world_row(world, &none, full);
    for (size_t v = 0; v < batch.n; v++)
        world_row(world, &batch.variants[v], values + v * world->n_prompts);
    const struct plan_values given = {values, full, world->n_prompts};
    cr_assert_eq(circuit_verdict_plan_fill(plan, &given, out, rows, NULL), ST_OK);
}

static void expect_row(const struct world *world, const double *row, const uint32_t *off, size_t n)
{
    double want[64];
    world_row(world, &(struct search_variant){off, NULL, n, 0}, want);
    for (uint32_t i = 0; i < world->n_prompts; i++) cr_expect_float_eq(row[i], want[i], 0.0);
}

/* The circuit found by the search is verified by the runs of its plan. Many heads a layer: with
 * few, random circuits are few and most of them hold a node that breaks everything. */
Test(circuit_verdict_plan, what_the_search_found_is_verified)
{
    for (int kind = 0; kind < WORLD_N_KINDS; kind++) {
        const struct world world = {(enum world_kind)kind, 300, 40, false, 2, 300};
        const struct world held_out = {(enum world_kind)kind, 300, 60, false, 4, 300};
        const struct circuit_search_params search_params = world_params(&world);
        const struct verdict_thresholds thresholds = verdict_thresholds_default(1);
        struct circuit_search_result found;
        struct circuit_verdict verdict = {.n_reasons = 0};
        struct error err = {.status = ST_OK};
        double full[64];
        struct circuit_search *search = world_search(&world, &search_params, &found);
        const struct verdict_plan_params params = params_of(&held_out, &found.circuit);
        struct circuit_verdict_plan *plan = plan_of(&params);
        struct circuit_measures measures = {.circuit = &found.circuit,
                                            .units = world_units(&held_out),
                                            .full = full,
                                            .n_researches = found.n_searches,
                                            .is_adaptive_search = found.is_adaptive,
                                            .stability = found.stability};
        for (int value = 0; value < ABLATE_N_VALUES; value++)
            measure(&held_out, plan, full, &measures.values[value]);
        measures.values[ABLATE_MEAN].method.value = ABLATE_MEAN;
        measures.values[ABLATE_MEAN].method.mean = MEAN_OVERALL;
        measures.values[ABLATE_RESAMPLE].method.value = ABLATE_RESAMPLE;
        cr_assert_eq(circuit_verdict_decide(&measures, &thresholds, &verdict, &err), ST_OK, "%s",
                     err.text);
        cr_expect_eq(verdict.outcome, CIRCUIT_VERIFIED, "kind %d: %s", kind,
                     verdict.n_reasons > 0 ? verdict.reasons[0] : "");
        circuit_verdict_fini(&verdict);
        circuit_verdict_plan_destroy(&plan);
        circuit_search_result_fini(&found);
        circuit_search_destroy(&search);
    }
}

Test(circuit_verdict_plan, rows_are_the_runs_that_they_say)
{
    static const uint32_t nodes[] = {2, 5, 6, 8}, rest[] = {5, 6}, class_of_2[] = {2, 5, 6};
    uint32_t all[16], others[16];
    size_t n_others = 0;
    double full[64];
    struct circuit circuit;
    struct value_measures measures = {.is_measured = false};
    make_circuit(&THREE, nodes, 4, "or", &circuit);
    const struct verdict_plan_params params = params_of(&THREE, &circuit);
    struct circuit_verdict_plan *plan = plan_of(&params);
    measure(&THREE, plan, full, &measures);
    for (uint32_t v = 0; v < 16; v++) {
        all[v] = v;
        if (v != 2 && v != 5 && v != 6 && v != 8) others[n_others++] = v;
    }
    expect_row(&THREE, measures.empty, all, 16);
    expect_row(&THREE, measures.circuit, others, n_others);
    expect_row(&THREE, measures.complement, nodes, 4);
    expect_row(&THREE, measures.without_member + (size_t)3 * 40, &nodes[3], 1);
    expect_row(&THREE, measures.without_class_rest, rest, 2);
    expect_row(&THREE, measures.without_class_rest + (size_t)3 * 40, NULL, 0);
    expect_row(&THREE, measures.without_class, class_of_2, 3);
    expect_row(&THREE, measures.model_without_subset, class_of_2, 3); /* the first class */
    expect_row(&THREE, measures.minimality_without_subset, others, n_others);
    cr_expect_eq(measures.n_minimality, 4 * (2 + params.n_minimality));
    cr_expect_eq(measures.n_random, 9); /* 3 others of layer 0, the 2 of layer 1, 3 of layer 2 */
    cr_expect(measures.is_random_exhaustive);
    free((double *)(uintptr_t)measures.empty);
    circuit_verdict_plan_destroy(&plan);
    circuit_fini(&circuit);
}

static bool is_same(const struct search_variant *a, const struct search_variant *b)
{
    return a->n_nodes == b->n_nodes && a->n_edges == b->n_edges &&
           (a->n_nodes == 0 || memcmp(a->nodes, b->nodes, a->n_nodes * sizeof *a->nodes) == 0) &&
           (a->n_edges == 0 || memcmp(a->edges, b->edges, a->n_edges * sizeof *a->edges) == 0);
}

Test(circuit_verdict_plan, no_set_is_listed_twice_or_empty)
{
    static const uint32_t nodes[] = {2, 5, 6, 8};
    struct circuit circuit;
    make_circuit(&THREE, nodes, 4, "or", &circuit);
    const struct verdict_plan_params params = params_of(&THREE, &circuit);
    struct circuit_verdict_plan *plan = plan_of(&params);
    const struct search_batch batch = circuit_verdict_plan_variants(plan);
    for (size_t a = 0; a < batch.n; a++) {
        cr_expect(batch.variants[a].n_nodes + batch.variants[a].n_edges > 0);
        for (size_t i = 1; i < batch.variants[a].n_nodes; i++)
            cr_expect(batch.variants[a].nodes[i - 1] < batch.variants[a].nodes[i]);
        for (size_t b = 0; b < a; b++)
            cr_expect_not(is_same(&batch.variants[a], &batch.variants[b]), "%zu and %zu", a, b);
    }
    circuit_verdict_plan_destroy(&plan);
    circuit_fini(&circuit);
}

static void add_edge(struct circuit *circuit, const char *text)
{
    struct circuit_edge edge;
    cr_assert_eq(circuit_edge_parse(text, strlen(text), &edge, NULL), ST_OK);
    cr_assert_eq(circuit_add_edge(circuit, &edge, NULL), ST_OK);
}

static bool ablates_edge(const struct circuit_verdict_plan *plan,
                         const struct search_variant *variant, const char *name)
{
    char text[EDGE_NAME_SIZE];
    size_t n;
    const struct circuit_edge *edges = circuit_verdict_plan_edges(plan, &n);
    for (size_t e = 0; e < variant->n_edges; e++) {
        cr_assert(variant->edges[e] < n);
        if (strcmp(circuit_edge_name(&edges[variant->edges[e]], text), name) == 0) return true;
    }
    return false;
}

/* How many sets ablate edges alone: circuits, the judged one and random ones, as complements. */
static size_t n_complements(struct circuit_verdict_plan *plan, size_t n_edges)
{
    const struct search_batch batch = circuit_verdict_plan_variants(plan);
    size_t n = 0;
    for (size_t v = 0; v < batch.n; v++) {
        if (batch.variants[v].n_nodes > 0) continue;
        cr_expect_eq(batch.variants[v].n_edges, n_edges);
        n++;
    }
    return n;
}

/* The second set is the circuit, the third its complement. */
Test(circuit_verdict_plan, claimed_edges_stay_and_all_others_go)
{
    struct circuit circuit;
    circuit_init(&circuit);
    add_edge(&circuit, "embed->L0H2.v");
    add_edge(&circuit, "L0H2->L1H1.k");
    add_edge(&circuit, "L1H1->logits");
    cr_assert_eq(circuit_finish(&circuit, NULL), ST_OK);
    const struct verdict_plan_params params = params_of(&THREE, &circuit);
    struct circuit_verdict_plan *plan = plan_of(&params);
    const struct search_variant *sets = circuit_verdict_plan_variants(plan).variants;
    cr_expect_eq(sets[0].n_nodes, 16);
    cr_expect_eq(sets[0].n_edges, 0);
    cr_expect_eq(sets[1].n_nodes, 14);
    cr_expect_eq(sets[1].n_edges, 12 - 3); /* into two heads 3 + 6, into the logits 3 */
    cr_expect(ablates_edge(plan, &sets[1], "L0H2->L1H1.q"));
    cr_expect(ablates_edge(plan, &sets[1], "embed->logits"));
    cr_expect_not(ablates_edge(plan, &sets[1], "L0H2->L1H1.k"));
    cr_expect_eq(sets[2].n_nodes, 0);
    cr_expect_eq(sets[2].n_edges, 3);
    cr_expect(ablates_edge(plan, &sets[2], "embed->L0H2.v"));
    cr_expect_eq(n_complements(plan, 3), 1 + 3 * 3); /* others of layer 0 and of layer 1 */
    circuit_verdict_plan_destroy(&plan);
    circuit_fini(&circuit);
}

/* --- curves ------------------------------------------------------------------------------- */

static void expect_kept(const struct world *world, const double *row, const uint32_t *kept,
                        size_t n_kept)
{
    uint32_t off[WORLD_MAX_NODES];
    size_t n = 0;
    for (uint32_t v = 0; v < world->n; v++) {
        bool is_kept = false;
        for (size_t k = 0; k < n_kept; k++) is_kept = is_kept || kept[k] == v;
        if (!is_kept) off[n++] = v;
    }
    expect_row(world, row, off, n);
}

/* 16 candidates: 1 at 0.1, 3 at 0.2, 8 at 0.5, all at 1, and none below. */
Test(circuit_verdict_plan, curves_keep_the_first_in_the_order_of_effects)
{
    static const uint32_t nodes[] = {2, 8}, in_order[] = {8, 2, 5, 6, 0, 1, 3, 4};
    static const uint32_t by_size[] = {15, 8, 2, 5, 6, 0, 1, 3};
    double full[64], effects[16] = {[8] = 4.0, [2] = 3.0, [5] = 2.0, [6] = 1.0, [15] = -5.0};
    struct circuit circuit;
    struct value_measures measures = {.is_measured = false};
    make_circuit(&THREE, nodes, 2, NULL, &circuit);
    struct verdict_plan_params params = params_of(&THREE, &circuit);
    params.effects = effects;
    struct circuit_verdict_plan *plan = plan_of(&params);
    measure(&THREE, plan, full, &measures);
    const double *of_signed = measures.curve[CURVE_SIGNED];
    const double *absolute = measures.curve[CURVE_ABSOLUTE];
    cr_expect_eq(measures.n_curve_candidates, 16);
    expect_kept(&THREE, of_signed, NULL, 0);
    expect_kept(&THREE, of_signed + (size_t)6 * 40, in_order, 1);
    expect_kept(&THREE, of_signed + (size_t)7 * 40, in_order, 3);
    expect_kept(&THREE, of_signed + (size_t)8 * 40, in_order, 8);
    expect_row(&THREE, of_signed + (size_t)9 * 40, NULL, 0);
    expect_kept(&THREE, absolute + (size_t)6 * 40, by_size, 1);
    expect_kept(&THREE, absolute + (size_t)7 * 40, by_size, 3);
    expect_kept(&THREE, absolute + (size_t)8 * 40, by_size, 8);
    free((double *)(uintptr_t)measures.empty);
    circuit_verdict_plan_destroy(&plan);
    effects[3] = NAN;
    struct error err = {.status = ST_OK};
    cr_expect_eq(circuit_verdict_plan_create(&plan, &params, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "curve: score 3 is not finite");
    circuit_fini(&circuit);
}

Test(circuit_verdict_plan, without_effects_has_no_curve)
{
    static const uint32_t nodes[] = {2, 8};
    double full[64];
    struct circuit circuit;
    struct value_measures measures = {.is_measured = false};
    make_circuit(&THREE, nodes, 2, NULL, &circuit);
    const struct verdict_plan_params params = params_of(&THREE, &circuit);
    struct circuit_verdict_plan *plan = plan_of(&params);
    measure(&THREE, plan, full, &measures);
    cr_expect(measures.n_curve_candidates == 0 && !measures.curve[CURVE_SIGNED] &&
              !measures.curve[CURVE_ABSOLUTE]);
    free((double *)(uintptr_t)measures.empty);
    circuit_verdict_plan_destroy(&plan);
    circuit_fini(&circuit);
}

/* --- named positions ---------------------------------------------------------------------- */

enum { N_HEADS = 4, N_PLACED = 2 * N_HEADS };

/* Four heads of layer 0, each at `end` and at `s2`, ascending. */
static struct circuit_candidates placed_candidates(void)
{
    struct component *heads = keep_alloc(N_PLACED, sizeof *heads);
    for (uint32_t i = 0; i < N_PLACED; i++) {
        heads[i] = (struct component){.type = COMPONENT_HEAD, .index = i / 2};
        (void)snprintf(heads[i].position, sizeof heads[i].position, i % 2 ? "s2" : "end");
    }
    return (struct circuit_candidates){heads, N_PLACED};
}

/* Circuit {H1@end, H2@s2}: empty, circuit, complement; random ones are H0, H3 at the same two. */
Test(circuit_verdict_plan, nodes_at_named_positions_keep_them)
{
    static const uint32_t others[] = {0, 1, 3, 4, 6, 7}, own[] = {2, 5};
    const struct circuit_candidates candidates = placed_candidates();
    struct circuit circuit;
    circuit_init(&circuit);
    cr_assert_eq(circuit_add_node(&circuit, &candidates.components[2], NULL, NULL), ST_OK);
    cr_assert_eq(circuit_add_node(&circuit, &candidates.components[5], NULL, NULL), ST_OK);
    cr_assert_eq(circuit_finish(&circuit, NULL), ST_OK);
    struct verdict_plan_params params = verdict_plan_params_default(3);
    params.circuit = &circuit;
    params.candidates = candidates;
    struct circuit_verdict_plan *plan = plan_of(&params);
    const struct search_batch batch = circuit_verdict_plan_variants(plan);
    const struct search_variant *sets = batch.variants;
    cr_expect_eq(sets[0].n_nodes, N_PLACED);
    cr_assert_eq(sets[1].n_nodes, 6);
    cr_expect_arr_eq(sets[1].nodes, others, sizeof others);
    cr_assert_eq(sets[2].n_nodes, 2);
    cr_expect_arr_eq(sets[2].nodes, own, sizeof own);
    size_t n_random =
        0; /* as complements: two nodes, one at each position, none of the circuit's */
    for (size_t v = 0; v < batch.n; v++) {
        const uint32_t *at = sets[v].nodes;
        if (sets[v].n_nodes != 2 || at[0] == 2 || at[1] == 5) continue;
        cr_expect(at[0] % 2 != at[1] % 2, "variant %zu: %u and %u", v, at[0], at[1]);
        n_random++;
    }
    cr_expect_eq(n_random, 2); /* H0@end with H3@s2, H3@end with H0@s2 */
    circuit_verdict_plan_destroy(&plan);
    circuit_fini(&circuit);
}

Test(circuit_verdict_plan, a_position_that_a_stand_in_lacks_is_refused)
{
    const struct circuit_candidates candidates = placed_candidates();
    struct circuit_verdict_plan *plan = NULL;
    struct circuit circuit;
    struct error err = {.status = ST_OK};
    circuit_init(&circuit);
    cr_assert_eq(circuit_add_node(&circuit, &candidates.components[0], NULL, NULL), ST_OK);
    cr_assert_eq(circuit_finish(&circuit, NULL), ST_OK);
    struct verdict_plan_params params = verdict_plan_params_default(3);
    params.circuit = &circuit;
    struct component few[] = {candidates.components[0], candidates.components[3]};
    params.candidates = (struct circuit_candidates){few, 2};
    cr_expect_eq(circuit_verdict_plan_create(&plan, &params, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "L0H1@end is in a random circuit, and no candidate");
    circuit_fini(&circuit);
}

Test(circuit_verdict_plan, refuses_what_it_cannot_ablate)
{
    struct circuit circuit;
    struct circuit_verdict_plan *plan = NULL;
    struct error err = {.status = ST_OK};
    const struct component absent = {.type = COMPONENT_HEAD, .layer = 9};
    circuit_init(&circuit);
    cr_assert_eq(circuit_add_node(&circuit, &absent, NULL, NULL), ST_OK);
    cr_assert_eq(circuit_finish(&circuit, NULL), ST_OK);
    const struct verdict_plan_params params = params_of(&THREE, &circuit);
    cr_expect_eq(circuit_verdict_plan_create(&plan, &params, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "L9H0 is in the circuit, and no candidate");
    circuit_fini(&circuit);
    error_clear(&err);
    circuit_init(&circuit);
    add_edge(&circuit, "L0H2@end->logits");
    cr_assert_eq(circuit_finish(&circuit, NULL), ST_OK);
    cr_expect_eq(circuit_verdict_plan_create(&plan, &params, &err), ST_UNSUPPORTED);
    cr_expect_str_eq(err.text,
                     "verdict plan: edges are claimed, and L0H2@end is at a named position");
    cr_expect(plan == NULL);
    circuit_fini(&circuit);
}
