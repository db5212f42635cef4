/* Estimates of circuit sweeps, against what is really listed. */
#include "coordinator/plan/circuit_estimate.h"

#include "common/file.h"
#include "common/quantity.h"
#include "coordinator/circuit/circuit_verdict_plan.h"
#include "tests/unit/search_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sweep_spec circuit_spec(void)
{
    return (struct sweep_spec){.kind = SWEEP_KIND_CIRCUIT,
                               .ablation = {.values = 7, .n_batch = 32},
                               .search = {.conditional = true, .max_variants = 200000},
                               .verdict = {.n_random = 20, .n_subsets = 8}};
}

static struct circuit_estimate estimate_of(const struct sweep_spec *spec, uint64_t n)
{
    const struct circuit_estimate_input input = {.spec = spec,
                                                 .n_candidates = n,
                                                 .n_search = 10,
                                                 .n_verdict = 20,
                                                 .n_prompt_tokens = 5,
                                                 .rate = {.thread_tokens_per_second = 250,
                                                          .n_threads = 4,
                                                          .backend = "cpu",
                                                          .isa = "cpu avx512"}};
    struct circuit_estimate estimate;
    circuit_estimate_make(&input, &estimate);
    return estimate;
}

/* The lines of a plan; the caller frees them. */
static char *printed(const struct circuit_estimate *estimate)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    cr_assert_eq(circuit_estimate_print(estimate, &text, NULL), ST_OK);
    char *copy = strdup(buffer_text(&text));
    cr_assert_not_null(copy);
    buffer_fini(&text);
    return copy;
}

Test(circuit_estimate, single_components_are_counted_exactly)
{
    struct sweep_spec spec = circuit_spec();
    spec.search.conditional = false;
    struct circuit_estimate estimate = estimate_of(&spec, 156);
    cr_expect(estimate.search.least == 157 && estimate.search.most == 157);
    spec.search.max_variants = 100;
    estimate = estimate_of(&spec, 156);
    cr_expect(estimate.search.least == 100 && estimate.search.most == 100);
    cr_expect_eq(estimate.n_tokens_most, 100 * 10 * 5 + estimate.verdict.most * 20 * 5);
    cr_expect_float_eq(estimate.seconds_most, (double)estimate.n_tokens_most / 1000, 1e-9);
}

/* What every kind of world really asks, in search and verdict, lies between the bounds. */
Test(circuit_estimate, bounds_what_is_really_listed)
{
    for (int kind = 0; kind < WORLD_N_KINDS; kind++) {
        const struct world world = {(enum world_kind)kind, 24, 30, false, 5, 8};
        const struct circuit_search_params search_params = world_params(&world);
        struct sweep_spec spec = circuit_spec();
        spec.search.max_variants = (uint32_t)search_params.max_variants;
        const struct circuit_estimate estimate = estimate_of(&spec, world.n);
        struct circuit_search_result found;
        struct circuit_search *search = world_search(&world, &search_params, &found);
        cr_expect(found.n_variants >= estimate.search.least &&
                      found.n_variants <= estimate.search.usual &&
                      estimate.search.usual <= estimate.search.most,
                  "kind %d: %zu variants", kind, found.n_variants);
        double effects[24];
        for (uint32_t i = 0; i < world.n; i++) effects[i] = found.nodes[i].alone.mean;
        struct verdict_plan_params params = verdict_plan_params_default(5);
        params.circuit = &found.circuit;
        params.candidates = (struct circuit_candidates){world_candidates(&world), world.n};
        params.n_random = spec.verdict.n_random;
        params.n_subsets = spec.verdict.n_subsets;
        params.effects = effects;
        struct circuit_verdict_plan *plan = NULL;
        cr_assert_eq(circuit_verdict_plan_create(&plan, &params, NULL), ST_OK);
        const size_t n = circuit_verdict_plan_variants(plan).n;
        cr_expect(3 * n <= estimate.verdict.usual && estimate.verdict.usual < estimate.verdict.most,
                  "kind %d: %zu sets of %llu", kind, 3 * n,
                  (unsigned long long)estimate.verdict.most);
        spec.search.max_nodes = (uint32_t)found.circuit.n_nodes; /* as if that had been known */
        const struct circuit_estimate close = estimate_of(&spec, world.n);
        cr_expect(3 * n <= close.verdict.most && close.verdict.most < 9 * n, "kind %d: %zu, %llu",
                  kind, 3 * n, (unsigned long long)close.verdict.most);
        circuit_verdict_plan_destroy(&plan);
        circuit_search_result_fini(&found);
        circuit_search_destroy(&search);
    }
}

Test(circuit_estimate, few_components_have_few_sets)
{
    struct sweep_spec spec = circuit_spec();
    const struct circuit_estimate estimate = estimate_of(&spec, 4);
    cr_expect(estimate.search.least == 5 && estimate.search.most == 15);
    cr_expect_eq(estimate.verdict.most, 3 * 15);
    spec.search.edges = CIRCUIT_EDGES_ACDC;
    cr_expect_eq(estimate_of(&spec, 4).search.most, 200000);
}

Test(circuit_estimate, a_brought_circuit_is_not_searched_and_unknown_is_said)
{
    struct sweep_spec spec = circuit_spec();
    char brought[] = "mine.json";
    struct circuit_estimate estimate = estimate_of(&spec, 0);
    cr_expect(estimate.n_tokens_most == 0 && estimate.verdict.most == 0);
    json_t *json = circuit_estimate_json(&estimate);
    cr_expect(json_is_null(json_object_get(json, "candidates")) &&
              json_is_null(json_object_get(json, "variant_tokens_most")) &&
              json_is_null(json_object_get(json, "seconds_most")));
    json_decref(json);
    spec.circuit = brought;
    const struct circuit_estimate_input input = {
        .spec = &spec, .n_candidates = 156, .n_brought = 2};
    circuit_estimate_make(&input, &estimate);
    cr_expect(estimate.search.most == 0 && estimate.units.least == 1);
    cr_expect_eq(estimate.verdict.most, 3 * (3 + 6 + 2 * 3 + 2 * 2 * 6 + 2 * 20));
    char *text = printed(&estimate);
    cr_expect(!strstr(text, "search") && strstr(text, "  tasks       3 at least; 1 to "), "%s",
              text);
    free(text);
}

Test(circuit_estimate, without_a_number_of_candidates_only_bounds_that_hold_are_told)
{
    const struct sweep_spec spec = circuit_spec();
    const struct circuit_estimate estimate = estimate_of(&spec, 0);
    char *text = printed(&estimate);
    cr_expect_str_eq(text, "estimate    how many candidates is not known\n"
                           "  search      at most 200,000 variants\n"
                           "  verdict     not known before the candidates are\n"
                           "  tasks       4 at least, and one for each further round; "
                           "1 or more units\n");
    free(text);
    json_t *json = circuit_estimate_json(&estimate);
    const json_t *search = json_object_get(json, "search_variants");
    const json_t *verdict = json_object_get(json, "verdict_variants");
    cr_expect(json_is_null(json_object_get(search, "usual")));
    cr_expect_eq(json_integer_value(json_object_get(search, "most")), 200000);
    cr_expect(json_is_null(json_object_get(verdict, "most")) &&
              json_is_null(json_object_get(json, "units_most")));
    json_decref(json);
}

/* As everywhere else: digits in groups of three, times as people read them. */
Test(circuit_estimate, large_numbers_can_be_read)
{
    const struct sweep_spec spec = circuit_spec();
    const struct circuit_estimate estimate = estimate_of(&spec, 12345);
    char *text = printed(&estimate);
    cr_expect(strstr(text, "estimate    12,345 candidates\n"), "%s", text);
    cr_expect(strstr(text, "  search      usually under 200,000, at most 200,000 variants\n") ||
                  strstr(text, "  search      at most 200,000 variants\n"),
              "%s", text);
    for (const char *digit = text; *(digit += strcspn(digit, "0123456789"));) {
        const size_t n = strspn(digit, "0123456789");
        cr_expect(n <= 3, "%s", digit);
        digit += n;
    }
    free(text);
}

/* What it is: work over a rate of those threads, and no bound. */
Test(circuit_estimate, says_whose_speed_the_time_is)
{
    const struct sweep_spec spec = circuit_spec();
    struct circuit_estimate estimate = estimate_of(&spec, 12);
    char want[256], usual[QUANTITY_SIZE], most[QUANTITY_SIZE];
    cr_expect_float_eq(estimate.tokens_per_second, 1000.0, 1e-9, "four threads together");
    char *text = printed(&estimate);
    (void)snprintf(want, sizeof want,
                   "\n  time        about %s for the usual, %s for the most of that at 1,000 "
                   "variant-tokens/s: 4 run threads (cpu avx512), each as fast as in this model's "
                   "last verdict, and never idle\n",
                   quantity_seconds(estimate.seconds_usual, usual),
                   quantity_seconds(estimate.seconds_most, most));
    cr_expect(strstr(text, want), "%s\nnot:%s", want, text);
    free(text);
    json_t *json = circuit_estimate_json(&estimate);
    const json_t *on = json_object_get(json, "measured_on");
    cr_expect_str_eq(json_string_value(json_object_get(on, "backend")), "cpu");
    cr_expect_eq(json_integer_value(json_object_get(on, "run_threads")), 4);
    json_decref(json);
    estimate.tokens_per_second = 0.0;
    json = circuit_estimate_json(&estimate);
    cr_expect(json_is_null(json_object_get(json, "measured_on")));
    json_decref(json);
}

/* --- files -------------------------------------------------------------------------------- */

Test(circuit_estimate, the_example_is_counted_from_its_files)
{
    char directory[512], *text = NULL;
    struct error err = {.status = ST_OK};
    struct sweep_spec *spec = NULL;
    struct circuit_estimate_input input;
    size_t n_bytes;
    cr_assert_not_null(getcwd(directory, sizeof directory - 32));
    (void)strcat(directory, "/config/sweeps");
    cr_assert_eq(file_read("config/sweeps/induction.yaml", 1 << 20, &text, &n_bytes, &err), ST_OK);
    const struct sweep_text source = {text, n_bytes, "induction.yaml", directory};
    cr_assert_eq(sweep_spec_parse(&spec, &source, &err), ST_OK, "%s", err.text);
    cr_assert_eq(circuit_estimate_read(&input, spec, NULL, &err), ST_OK, "%s", err.text);
    cr_expect_eq(input.n_candidates, 4 * (4 + 1), "%llu", (unsigned long long)input.n_candidates);
    cr_expect(input.n_search == 81 && input.n_verdict == 81 && input.n_prompt_tokens == 24);
    cr_expect_eq(input.rate.n_threads, 0);
    sweep_spec_free(&spec);
    free(text);
}
