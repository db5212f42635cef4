/* A verdict as JSON and as text. */
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/circuit/verdict_json.h"
#include "coordinator/circuit/verdict_text.h"
#include "tests/unit/circuit_cases.h"

enum { N = 8 };

/* Two heads: no better than random under mean, flat under resample, not measured under zero. */
struct judged {
    double full[N], empty[N], circuit[N], complement[N], drops[2 * N], kl[N], kl_empty[N];
    double curve[CURVE_N_FRACTIONS * N]; /* 3 of 4 throughout */
    uint32_t units[N];
    struct circuit circuit_of_two;
    struct circuit_verdict verdict;
};

static void judge(struct judged *judged)
{
    static const char text[] = "{\"name\":\"demo \\u00e9\",\"task\":\"induction\",\"nodes\":"
                               "[{\"name\":\"L0H0\",\"role\":\"previous token\"},\"L1H0\"]}";
    const struct verdict_thresholds rules = verdict_thresholds_default(18446744073709551615u);
    *judged = (struct judged){.full = {0}};
    cr_assert_eq(circuit_file_parse(&judged->circuit_of_two, "t", text, sizeof text - 1, NULL),
                 ST_OK);
    for (uint32_t i = 0; i < N; i++) {
        const double wobble = 0.01 * (double)(i % 3);
        judged->full[i] = 4.0 + wobble;
        judged->empty[i] = wobble;
        judged->circuit[i] = 3.0;
        judged->complement[i] = 0.4;
        judged->drops[i] = judged->drops[N + i] = 1.0 + wobble;
        judged->kl[i] = 0.125;
        judged->kl_empty[i] = 2.0;
        for (size_t k = 0; k < CURVE_N_FRACTIONS; k++) judged->curve[k * N + i] = 3.0 + wobble;
        judged->units[i] = i;
    }
    struct circuit_measures measures = {.circuit = &judged->circuit_of_two,
                                        .units = {judged->units, N, N},
                                        .full = judged->full,
                                        .n_researches = 20,
                                        .stability = {true, 0.5}};
    measures.values[ABLATE_MEAN] =
        (struct value_measures){.is_measured = true,
                                .method = {.value = ABLATE_MEAN, .mean = MEAN_PER_POSITION},
                                .empty = judged->empty,
                                .circuit = judged->circuit,
                                .complement = judged->complement,
                                .without_member = judged->drops,
                                .n_random = 1,
                                .random_circuit = judged->drops,
                                .random_complement = judged->empty,
                                .is_random_exhaustive = true,
                                .n_curve_candidates = 20,
                                .curve = {judged->curve, judged->curve},
                                .kl_circuit = judged->kl,
                                .kl_empty = judged->kl_empty};
    measures.values[ABLATE_RESAMPLE] =
        (struct value_measures){.is_measured = true,
                                .method = {.value = ABLATE_RESAMPLE},
                                .empty = judged->full,
                                .circuit = judged->full,
                                .complement = judged->full,
                                .n_curve_candidates = 20,
                                .curve = {judged->curve, judged->curve}};
    cr_assert_eq(circuit_verdict_decide(&measures, &rules, &judged->verdict, NULL), ST_OK);
}

static void judged_fini(struct judged *judged)
{
    circuit_verdict_fini(&judged->verdict);
    circuit_fini(&judged->circuit_of_two);
}

static const json_t *at(const json_t *json, const char *a, const char *b, const char *c)
{
    const json_t *found = json_object_get(json, a);
    if (b) found = json_object_get(found, b);
    return c ? json_object_get(found, c) : found;
}

Test(verdict_json, says_all_and_has_null_for_undefined)
{
    struct judged judged;
    struct buffer out;
    judge(&judged);
    buffer_init(&out, 1 << 20);
    cr_assert_eq(verdict_json_write(&judged.verdict, &judged.circuit_of_two, &out, NULL), ST_OK);
    json_t *json = json_loadb((const char *)out.bytes, out.n_bytes, 0, NULL);
    cr_assert(json != NULL);
    cr_expect_str_eq(json_string_value(at(json, "outcome", NULL, NULL)), "rejected");
    cr_expect_str_eq(json_string_value(at(json, "thresholds", "seed", NULL)),
                     "18446744073709551615");
    cr_expect_str_eq(json_string_value(at(json, "interval_over", NULL, NULL)), "prompts");
    cr_expect(json_is_null(at(json, "values", "zero", NULL)));
    cr_expect_str_eq(json_string_value(at(json, "values", "resample", "undefined")), "flat metric");
    cr_expect(json_is_null(at(json, "values", "resample", "sufficiency")));
    const json_t *mean = at(json, "values", "mean", NULL);
    cr_expect_float_eq(json_number_value(at(mean, "kl", "sufficiency", NULL)), 0.9375, 1e-12);
    cr_expect_str_eq(json_string_value(at(mean, "method", "mean_over", NULL)), "position");
    cr_expect(json_is_true(at(mean, "random", "exhaustive", NULL)));
    const json_t *member = json_array_get(at(mean, "members", NULL, NULL), 0);
    cr_expect_str_eq(json_string_value(at(member, "role", NULL, NULL)), "previous token");
    cr_expect_float_eq(json_number_value(at(member, "drop", "value", NULL)), 3.0, 1e-12);
    cr_expect(json_is_null(at(member, "conditional", NULL, NULL)));
    const json_t *curve = at(mean, "curves", "signed", NULL);
    cr_expect_float_eq(json_number_value(at(curve, "cpr", NULL, NULL)), 0.75 * 0.999, 1e-12);
    cr_expect_float_eq(json_number_value(at(curve, "cmd", NULL, NULL)), 0.25 * 0.999, 1e-12);
    const json_t *point = json_array_get(at(curve, "points", NULL, NULL), 7);
    cr_expect_eq(json_integer_value(at(point, "n_items", NULL, NULL)), 4);
    curve = at(at(json, "values", "resample", "curves"), "absolute", NULL, NULL);
    cr_expect_str_eq(json_string_value(at(curve, "undefined", NULL, NULL)), "flat metric");
    cr_expect(json_is_null(at(curve, "cpr", NULL, NULL)));
    cr_expect(strstr(buffer_text(&out), "nan") == NULL);
    json_decref(json);
    buffer_fini(&out);
    judged_fini(&judged);
}

Test(verdict_json, equal_measures_give_equal_bytes)
{
    struct judged first, second;
    struct buffer one, two;
    judge(&first);
    judge(&second);
    buffer_init(&one, 1 << 20);
    buffer_init(&two, 1 << 20);
    cr_assert_eq(verdict_json_write(&first.verdict, &first.circuit_of_two, &one, NULL), ST_OK);
    cr_assert_eq(verdict_json_write(&second.verdict, &second.circuit_of_two, &two, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&one), buffer_text(&two));
    buffer_fini(&one);
    buffer_fini(&two);
    judged_fini(&first);
    judged_fini(&second);
}

static void expect_lines(const char *text)
{
    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n");
        cr_expect(n <= 80, "%.*s", (int)n, line);
        cr_expect(n == 0 || line[n - 1] != ' ', "blanks at the end: %.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

Test(verdict_text, fits_the_terminal_and_names_every_reason)
{
    struct judged judged;
    struct buffer out;
    judge(&judged);
    buffer_init(&out, 1 << 20);
    cr_assert_eq(verdict_text_write(&judged.verdict, &judged.circuit_of_two, &out, NULL), ST_OK);
    const char *text = buffer_text(&out);
    expect_lines(text);
    static const char *const wanted[] = {
        "circuit demo \xc3\xa9, task induction: rejected\n",
        ("\n                      zero                mean                resample\n"
         "                      (off-distribution)\n"),
        "\nsufficiency           -                   0.7478              undefined: flat\n",
        "L0H0  (previous token)\n",
        "\nCPR, signed order     -                   0.7492              undefined: flat\n",
        "\nCMD, absolute order   -                   0.2497              undefined: flat\n",
        "\n  f of first 4        -                   0.75                undefined: flat\n",
        "stability 0.5 over 20 searches\n",
        "verdict: rejected\n",
        "  - mean: sufficiency 0.7478, its lower bound",
        "  - mean: conditional drops not measured\n",
        "  - resample: undefined: flat metric\n",
        "  - stability: 0.5 is under 0.8\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        cr_expect(strstr(text, wanted[i]) != NULL, "\"%s\" is not in\n%s", wanted[i], text);
    buffer_fini(&out);
    judged_fini(&judged);
}

Test(verdict_text, a_cell_that_is_too_long_goes_on_below)
{
    static const struct interval wide = {.is_defined = true, .low = -1.234e-05, .high = 1.234e-05};
    struct judged judged;
    struct buffer out;
    judge(&judged);
    for (int v = 0; v < ABLATE_N_VALUES; v++) {
        judged.verdict.values[v].is_measured = true;
        judged.verdict.values[v].necessity.of_means.interval = wide;
    }
    buffer_init(&out, 1 << 20);
    cr_assert_eq(verdict_text_write(&judged.verdict, &judged.circuit_of_two, &out, NULL), ST_OK);
    const char *text = buffer_text(&out);
    expect_lines(text);
    cr_expect(strstr(text, "\n  interval            [-1.234e-05,        [-1.234e-05,        "
                           "[-1.234e-05,\n"
                           "                      1.234e-05]          1.234e-05]          "
                           "1.234e-05]\n"),
              "%s", text);
    buffer_fini(&out);
    judged_fini(&judged);
}

Test(verdict_text, long_and_hostile_names_stay_lines_of_text)
{
    static const char role[] = "a role of several words that goes on and on, \x1b[2J\xc2\x9b red";
    struct judged judged;
    struct buffer out;
    judge(&judged);
    struct circuit *circuit = &judged.circuit_of_two;
    memset(circuit->name, 'n', CIRCUIT_TEXT_SIZE - 1);
    memset(circuit->task, 't', CIRCUIT_TEXT_SIZE - 1);
    memcpy(circuit->nodes[0].role, role, sizeof role);
    circuit->nodes[0].component = (struct component){
        .type = COMPONENT_FEATURE, .site = SITE_RESID_POST, .layer = 99999999, .index = 99999999};
    buffer_init(&out, 1 << 20);
    cr_assert_eq(verdict_text_write(&judged.verdict, circuit, &out, NULL), ST_OK);
    const char *text = buffer_text(&out);
    expect_lines(text);
    cr_expect(strchr(text, 0x1b) == NULL && strstr(text, "\xc2\x9b") == NULL);
    cr_expect(strstr(text, "?[2J??") != NULL, "%s", text);
    buffer_fini(&out);
    judged_fini(&judged);
}
