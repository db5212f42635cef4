/* Against tests/golden/circuit_verdicts/make_circuit_verdicts.py (plain numpy), to 1e-9. */
#include "coordinator/circuit/node_selection.h"
#include "tests/unit/circuit_cases.h"

enum { N_COMPONENTS = 12, N_SEARCHES = 20 };

static struct component heads[N_COMPONENTS];

static struct node_effects effects_of(const json_t *json)
{
    for (uint32_t c = 0; c < N_COMPONENTS; c++)
        heads[c] = (struct component){.type = COMPONENT_HEAD, .layer = c / 4, .index = c % 4};
    return (struct node_effects){heads, N_COMPONENTS, units_of(json), numbers_of(json, "effects"),
                                 numbers_of(json, "total")};
}

static struct node_selection_params rule_of(const json_t *json)
{
    const json_t *rule = json_object_get(json, "rule");
    return (struct node_selection_params){
        json_number_value(json_object_get(rule, "fdr_q")),
        json_number_value(json_object_get(rule, "share_min")),
        json_is_true(json_object_get(rule, "is_signed")),
        (size_t)json_integer_value(json_object_get(rule, "max_nodes"))};
}

static bool is_true_at(const json_t *list, size_t i)
{
    return json_is_true(json_array_get(list, i));
}

static void expect_at(double got, const json_t *json, const char *key, size_t i)
{
    const double want = json_number_value(json_array_get(json_object_get(json, key), i));
    cr_expect(fabs(got - want) <= 1e-9, "%s of %zu: %.17g, not %.17g", key, i, got, want);
}

Test(node_selection, is_that_of_the_reference)
{
    json_t *cases = load_circuit_cases();
    const json_t *selections = json_object_get(cases, "selections"), *json;
    size_t s;
    cr_assert_eq(json_array_size(selections), 3);
    json_array_foreach(selections, s, json)
    {
        const struct node_effects effects = effects_of(json);
        const struct node_selection_params rule = rule_of(json);
        const uint64_t seed = (uint64_t)json_integer_value(json_object_get(json, "seed"));
        struct node_effect got[N_COMPONENTS];
        bool again[N_SEARCHES * N_COMPONENTS];
        struct score_value stability;
        cr_assert_eq(node_selection(&effects, &rule, got, NULL), ST_OK);
        for (size_t c = 0; c < N_COMPONENTS; c++) {
            expect_at(got[c].mean, json, "mean", c);
            expect_at(got[c].standard_error.value, json, "standard_error", c);
            expect_at(got[c].p, json, "p", c);
            cr_expect_eq(got[c].is_chosen, is_true_at(json_object_get(json, "chosen"), c),
                         "selection %zu, component %zu", s, c);
        }
        cr_assert_eq(node_selection_again(&effects, &rule, N_SEARCHES, seed, again, NULL), ST_OK);
        for (size_t i = 0; i < N_SEARCHES * N_COMPONENTS; i++)
            cr_expect_eq(again[i], is_true_at(json_array_get(json_object_get(json, "again"),
                                                             i / N_COMPONENTS),
                                              i % N_COMPONENTS));
        cr_assert_eq(node_selection_stability(&effects, again, N_SEARCHES, &stability, NULL),
                     ST_OK);
        expect_score(stability, json, "stability");
    }
    json_decref(cases);
}

Test(node_selection, a_dead_component_is_never_chosen)
{
    static const double zeros[2 * 8], total[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t units[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const struct component two[] = {{.type = COMPONENT_HEAD}, {.type = COMPONENT_HEAD, .index = 1}};
    const struct node_effects effects = {two, 2, {units, 8, 8}, zeros, total};
    struct node_selection_params params = node_selection_params_default();
    struct node_effect got[2];
    params.share_min = 0.0;
    cr_assert_eq(node_selection(&effects, &params, got, NULL), ST_OK);
    cr_expect(!got[0].is_chosen && got[0].mean == 0.0 && got[0].p == 1.0);
}

Test(node_selection, bad_input_is_refused_by_name)
{
    static double values[2 * 4] = {1, 2, 3, 4, 5, 6, 7, NAN};
    static const double total[4] = {1, 1, 1, 1};
    static const uint32_t units[] = {0, 1, 2, 3};
    const struct component two[] = {{.type = COMPONENT_HEAD}, {.type = COMPONENT_HEAD, .index = 1}};
    const struct component same[] = {two[0], two[0]};
    struct node_effects effects = {two, 2, {units, 4, 4}, values, total};
    struct node_selection_params params = node_selection_params_default();
    struct node_effect got[2];
    struct error err = {.status = ST_OK};
    cr_expect_eq(node_selection(&effects, &params, got, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "selection: L0H1, prompt 3 is not finite");
    error_clear(&err);
    effects.components = same;
    cr_expect_eq(node_selection(&effects, &params, got, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "selection: component L0H0 is out of order");
    error_clear(&err);
    params.fdr_q = 0.0;
    cr_expect_eq(node_selection(&effects, &params, got, &err), ST_BAD_INPUT);
}
