/* Areas: tests/golden/circuit_verdicts/make_circuit_verdicts.py (numpy.trapezoid), to 1e-9. */
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/curve_json.h"
#include "coordinator/circuit/faithfulness_curve.h"
#include "tests/unit/circuit_cases.h"

Test(faithfulness_curve, areas_are_those_of_the_reference)
{
    json_t *cases = load_circuit_cases();
    const json_t *json = json_object_get(cases, "curve");
    const size_t n_prompts = json_array_size(json_object_get(json, "full"));
    uint32_t *units = keep_alloc(n_prompts, sizeof *units);
    size_t n_items[CURVE_N_FRACTIONS];
    struct faithfulness_curve got;
    for (uint32_t i = 0; i < n_prompts; i++) units[i] = i;
    for (size_t k = 0; k < CURVE_N_FRACTIONS; k++) {
        n_items[k] = curve_n_items(CURVE_FRACTIONS[k], 32491);
        cr_expect_eq((json_int_t)n_items[k], json_integer_value(json_array_get(
                                                 json_object_get(json, "n_items_of_32491"), k)));
    }
    const struct curve_measures measures = {.order = CURVE_ABSOLUTE,
                                            .fractions = numbers_of(json, "fractions"),
                                            .n_items = n_items,
                                            .n_points = CURVE_N_FRACTIONS,
                                            .units = {units, n_prompts, n_prompts},
                                            .full = numbers_of(json, "full"),
                                            .empty = numbers_of(json, "empty"),
                                            .runs = numbers_of(json, "runs")};
    cr_assert_eq(faithfulness_curve_make(&got, &measures, 3.0, NULL), ST_OK);
    expect_score(got.cpr, json, "cpr");
    expect_score(got.cmd, json, "cmd");
    for (size_t k = 0; k < CURVE_N_FRACTIONS; k++)
        cr_expect_float_eq(got.f[k].value,
                           json_number_value(json_array_get(json_object_get(json, "f"), k)), 1e-9);
    json_t *written = curve_json(&got, &measures);
    cr_expect_str_eq(json_string_value(json_object_get(written, "order")), "absolute");
    cr_expect_eq(json_number_value(json_object_get(written, "cpr")), got.cpr.value);
    const json_t *last = json_array_get(json_object_get(written, "points"), CURVE_N_FRACTIONS - 1);
    cr_expect_eq(json_integer_value(json_object_get(last, "n_items")), 32491);
    cr_expect_eq(json_number_value(json_object_get(last, "f")), got.f[CURVE_N_FRACTIONS - 1].value);
    json_decref(written);
    faithfulness_curve_fini(&got);
    json_decref(cases);
}

Test(faithfulness_curve, below_1_the_two_areas_add_up_to_the_width)
{
    const double f[CURVE_N_FRACTIONS] = {0, 0, 0.1, 0.3, 0.2, 0.6, 0.9, 0.95, 1, 1};
    double cpr, cmd;
    faithfulness_curve_areas(CURVE_FRACTIONS, f, CURVE_N_FRACTIONS, &cpr, &cmd);
    cr_expect_float_eq(cpr + cmd, 0.999, 1e-12);
}

Test(faithfulness_curve, of_a_flat_metric_is_undefined)
{
    const double values[] = {1.0, 2.0, 3.0}, runs[] = {1, 2, 3, 1, 2, 3}, fractions[] = {0.5, 1.0};
    const uint32_t units[] = {0, 1, 2};
    const size_t n_items[] = {1, 2};
    const struct curve_measures measures = {CURVE_SIGNED,  fractions, n_items, 2,
                                            {units, 3, 3}, values,    values,  runs};
    struct faithfulness_curve got;
    cr_assert_eq(faithfulness_curve_make(&got, &measures, 3.0, NULL), ST_OK);
    cr_expect(got.is_flat && !got.cpr.is_defined && !got.cmd.is_defined && !got.f[0].is_defined);
    json_t *written = curve_json(&got, &measures);
    cr_expect_str_eq(json_string_value(json_object_get(written, "undefined")), "flat metric");
    cr_expect(json_is_null(json_object_get(written, "cmd")));
    json_decref(written);
    faithfulness_curve_fini(&got);
}

Test(faithfulness_curve, bad_measures_are_refused)
{
    const double values[] = {1.0, 2.0}, runs[] = {1, 2, NAN, 2}, fractions[] = {0.5, 0.5};
    const uint32_t units[] = {0, 1};
    const size_t n_items[] = {1, 2};
    struct curve_measures measures = {CURVE_SIGNED,  fractions, n_items, 2,
                                      {units, 2, 2}, values,    values,  runs};
    struct faithfulness_curve got;
    struct error err = {.status = ST_OK};
    cr_expect_eq(faithfulness_curve_make(&got, &measures, 3.0, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "curve: runs, value 2 is not finite");
    error_clear(&err);
    measures.n_points = 1;
    cr_expect_eq(faithfulness_curve_make(&got, &measures, 3.0, &err), ST_BAD_INPUT);
    error_clear(&err);
    measures.n_points = 2;
    measures.runs = (const double[]){1, 2, 3, 4};
    cr_expect_eq(faithfulness_curve_make(&got, &measures, 3.0, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "curve: fractions 0 and 1 do not ascend");
}

Test(faithfulness_curve, signed_and_absolute_orders_differ_by_negative_items)
{
    const double scores[] = {0.1, -0.9, 0.5, 0.5, -0.2};
    bool is_kept[5];
    cr_assert_eq(curve_select(scores, 5, 2, CURVE_SIGNED, is_kept, NULL), ST_OK);
    cr_expect(!is_kept[0] && !is_kept[1] && is_kept[2] && is_kept[3] && !is_kept[4]);
    cr_assert_eq(curve_select(scores, 5, 2, CURVE_ABSOLUTE, is_kept, NULL), ST_OK);
    cr_expect(!is_kept[0] && is_kept[1] && is_kept[2] && !is_kept[3] && !is_kept[4]);
    cr_assert_eq(curve_select(scores, 5, 0, CURVE_SIGNED, is_kept, NULL), ST_OK);
    cr_expect(!is_kept[2]);
    cr_assert_eq(curve_select(scores, 5, 9, CURVE_SIGNED, is_kept, NULL), ST_OK);
    cr_expect(is_kept[1]);
}

/* Edges of a list, all kept; which stay, as '1' and '0' in the order of circuit.edges. */
static void expect_pruned(const char *text, const struct model_shape *shape, const char *want)
{
    struct circuit circuit;
    bool is_kept[16];
    size_t n_kept = 99, n_want = 0;
    cr_assert_eq(circuit_file_parse(&circuit, "test", text, strlen(text), NULL), ST_OK);
    cr_assert_eq(circuit.n_edges, strlen(want));
    for (size_t i = 0; i < circuit.n_edges; i++) is_kept[i] = true;
    cr_assert_eq(curve_prune(circuit.edges, circuit.n_edges, shape, is_kept, &n_kept, NULL), ST_OK);
    for (size_t i = 0; i < circuit.n_edges; i++) {
        char name[EDGE_NAME_SIZE];
        cr_expect_eq(is_kept[i], want[i] == '1', "%s", circuit_edge_name(&circuit.edges[i], name));
        n_want += want[i] == '1';
    }
    cr_expect_eq(n_kept, n_want);
    circuit_fini(&circuit);
}

Test(faithfulness_curve, what_dangles_is_dropped_until_nothing_does)
{
    static const struct model_shape shape = {.n_layers = 4, .n_heads = 4, .n_kv_heads = 2};
    /* sorted by receiver: embed->L0H0.v, L0H0->L1H0.k, L1H0->L2H0.q, L0H1->L2MLP, L0H0->logits */
    expect_pruned("embed->L0H0.v\nL0H0->L1H0.k\nL1H0->L2H0.q\nL0H1->L2MLP\nL0H0->logits\n", &shape,
                  "10001");
    expect_pruned("L0H0->L1H0.k\nL1H0->logits\n", &shape, "00");
    expect_pruned("L0N3->L1H0.k\nL1H0->logits\n", &shape, "11");
    /* group 1 of layer 1 is heads 2 and 3 */
    expect_pruned("embed->L0H0.v\nL1H3->logits\nL0H0->L1K1\n", &shape, "111");
    expect_pruned("embed->L0H0.v\nL1H1->logits\nL0H0->L1K1\n", &shape, "000");
}
