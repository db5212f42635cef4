/* Scores against the published package: tests/golden/simulation/ (make_simulation.py), equal to
 * 1e-9. */
#include "coordinator/session/simulation.h"
#include "tests/support/session_windows.h"

#include <jansson.h>
#include <math.h>

static const struct bootstrap_params PARAMS = {2000, 0.95, 17, 4};

struct series {
    struct simulated_window *simulated;
    size_t n;
};

/* Windows of a list of {"document", "activations", "predicted"}. */
static struct series series_of(const json_t *list)
{
    const size_t n = json_array_size(list);
    struct series made = {keep_alloc(n, sizeof *made.simulated), n};
    struct window *windows = keep_alloc(n, sizeof *windows);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *truth = json_object_get(item, "activations");
        const json_t *said = json_object_get(item, "predicted");
        const size_t n_tokens = json_array_size(truth);
        float *activations = keep_alloc(n_tokens, sizeof *activations);
        double *predicted = keep_alloc(n_tokens, sizeof *predicted);
        for (size_t t = 0; t < n_tokens; t++) {
            activations[t] = (float)json_number_value(json_array_get(truth, t));
            predicted[t] = json_number_value(json_array_get(said, t));
        }
        windows[i] = (struct window){
            .tokens = keep_alloc(n_tokens, sizeof(uint32_t)),
            .n_tokens = n_tokens,
            .activations = activations,
            .document_key = (uint64_t)json_integer_value(json_object_get(item, "document")),
            .document_offset = (uint32_t)i * 64};
        windows[i].kind = window_fires(&windows[i]) ? WINDOW_FIRING : WINDOW_SILENT_RANDOM;
        made.simulated[i] =
            (struct simulated_window){&windows[i], json_is_null(said) ? NULL : predicted};
    }
    return made;
}

static json_t *load_cases(const char *part)
{
    json_t *cases = json_load_file("tests/golden/simulation/cases.json", 0, NULL);
    json_t *list = json_incref(json_object_get(cases, part));
    json_decref(cases);
    cr_assert(json_array_size(list) > 0, "%s", part);
    return list;
}

static void expect_near(struct score_value got, const json_t *item, const char *key)
{
    const double want = json_number_value(json_object_get(item, key));
    cr_expect(got.is_defined);
    cr_expect_float_eq(got.value, want, 1e-9, "%s, %s: %.17g, not %.17g",
                       json_string_value(json_object_get(item, "name")), key, got.value, want);
}

static struct simulation_score measure(struct series series, const struct simulation_fit *fit)
{
    struct simulation_score score = {.n_windows = 99};
    struct error err = {0};
    cr_assert_eq(simulation_measure(series.simulated, series.n, fit, &PARAMS, &score, &err), ST_OK,
                 "%s", err.text);
    return score;
}

Test(simulation, scores_are_those_of_the_published_package)
{
    json_t *list = load_cases("scores");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const struct series series = series_of(json_object_get(item, "windows"));
        const struct simulation_score score = measure(series, NULL);
        expect_near(score.pearson, item, "pearson");
        expect_near(score.r2, item, "r2");
        expect_near(score.absdev, item, "absdev");
        expect_near(score.imputed, item, "imputed");
        size_t n_failed = 0;
        for (size_t w = 0; w < series.n; w++) n_failed += !series.simulated[w].predicted;
        cr_expect(score.n_failed == n_failed && score.n_windows == series.n);
    }
    json_decref(list);
}

Test(simulation, calibration_is_that_of_the_package_and_leaves_pearson)
{
    json_t *list = load_cases("scores");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const struct series before = series_of(json_object_get(item, "calibration"));
        struct simulation_fit fit;
        cr_assert_eq(simulation_calibrate(before.simulated, before.n, &fit, NULL), ST_OK);
        expect_near((struct score_value){fit.is_defined, fit.slope}, item, "slope");
        expect_near((struct score_value){fit.is_defined, fit.intercept}, item, "intercept");
        const struct simulation_score score =
            measure(series_of(json_object_get(item, "windows")), &fit);
        expect_near(score.pearson, item, "fitted_pearson");
        expect_near(score.r2, item, "fitted_r2");
        expect_near(score.absdev, item, "fitted_absdev");
    }
    json_decref(list);
}

/* n_windows windows of 8 tokens, two to a document; the truth is drawn, the judge says half of
 * it, off by up to `noise`. */
static struct series drawn_series(uint64_t seed, size_t n_windows, double noise)
{
    struct draw draw = {seed};
    struct series made = {keep_alloc(n_windows, sizeof *made.simulated), n_windows};
    struct window *windows = keep_alloc(n_windows, sizeof *windows);
    for (size_t i = 0; i < n_windows; i++) {
        double *predicted = keep_alloc(8, sizeof *predicted);
        windows[i] = drawn_window(&draw, 8, 50, (uint32_t)i / 2);
        windows[i].document_offset = 64 * (uint32_t)(i % 2);
        fire_at(&windows[i], draw_below(&draw, 8), 7, 1.0f + (float)draw_below(&draw, 16));
        for (size_t t = 0; t < 8; t++) {
            const double off = noise * ((double)draw_below(&draw, 1001) / 500.0 - 1.0);
            predicted[t] = fabs((double)windows[i].activations[t] / 2 + off);
            if (predicted[t] > 10.0) predicted[t] = 10.0;
        }
        made.simulated[i] = (struct simulated_window){&windows[i], predicted};
    }
    return made;
}

Test(simulation, a_failed_window_adds_nothing_to_the_correlation)
{
    struct series series = drawn_series(5, 20, 0.5);
    const struct simulation_score whole = measure(series, NULL);
    for (size_t i = 0; i < 10; i++) series.simulated[2 * i].predicted = NULL;
    const struct simulation_score half = measure(series, NULL);
    cr_expect(half.pearson.is_defined && half.n_failed == 10);
    cr_expect_lt(half.pearson.value, 0.9 * whole.pearson.value, "%g and %g", half.pearson.value,
                 whole.pearson.value);
    cr_expect_gt(half.pearson.value, 0.4);
    cr_expect(half.interval.is_defined && half.interval.low <= half.pearson.value &&
              half.interval.high >= half.pearson.value);
}

Test(simulation, a_constant_series_is_undefined_not_zero_and_not_nan)
{
    struct series series = drawn_series(6, 6, 0.5);
    double same[8];
    for (size_t i = 0; i < 8; i++) same[i] = 0.1;
    for (size_t i = 0; i < 6; i++) series.simulated[i].predicted = same;
    const struct simulation_score constant = measure(series, NULL);
    cr_expect(!constant.pearson.is_defined && constant.pearson.value >= 0.0);
    cr_expect(!constant.interval.is_defined && constant.r2.is_defined);
    struct simulation_fit fit;
    cr_assert_eq(simulation_calibrate(series.simulated, 6, &fit, NULL), ST_OK);
    cr_expect_not(fit.is_defined);

    struct window silent = *series.simulated[0].window;
    silent.activations = NULL;
    silent.kind = WINDOW_SILENT_RANDOM;
    const double said[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct simulated_window one = {&silent, said};
    const struct simulation_score none = measure((struct series){&one, 1}, NULL);
    cr_expect(!none.pearson.is_defined && !none.r2.is_defined && !none.absdev.is_defined);
}

Test(simulation, without_an_answer_nothing_is_defined)
{
    struct series series = drawn_series(7, 4, 0.5);
    for (size_t i = 0; i < 4; i++) series.simulated[i].predicted = NULL;
    const struct simulation_score score = measure(series, NULL);
    cr_expect(!score.pearson.is_defined && !score.r2.is_defined && !score.imputed.is_defined);
    cr_expect(score.n_failed == 4 && score.n_tokens == 32 && score.n_documents == 2);
    const struct simulation_score empty = measure((struct series){series.simulated, 0}, NULL);
    cr_expect(!empty.pearson.is_defined && empty.n_tokens == 0);
}

Test(simulation, order_of_windows_changes_no_bit)
{
    struct series series = drawn_series(8, 30, 1.0);
    series.simulated[4].predicted = NULL;
    const struct simulation_score before = measure(series, NULL);
    struct draw draw = {3};
    for (size_t i = series.n; i > 1; i--) {
        const size_t j = draw_below(&draw, (uint32_t)i);
        const struct simulated_window swapped = series.simulated[i - 1];
        series.simulated[i - 1] = series.simulated[j];
        series.simulated[j] = swapped;
    }
    const struct simulation_score after = measure(series, NULL);
    cr_expect_float_eq(after.pearson.value, before.pearson.value, 0);
    cr_expect_float_eq(after.r2.value, before.r2.value, 0);
    cr_expect_float_eq(after.interval.low, before.interval.low, 0);
    cr_expect_float_eq(after.interval.high, before.interval.high, 0);
}

/* Pearson has a known distribution for normal data; here only: a perfect judge has the interval
 * [1, 1], a random one an interval around 0 that covers 0 about 95 times in 100. */
Test(simulation, interval_covers_the_truth_of_a_random_judge)
{
    unsigned n_covered = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct series series = drawn_series(seed, 40, 0.0);
        struct draw draw = {seed + 1000};
        for (size_t i = 0; i < series.n; i++) {
            double *predicted = keep_alloc(8, sizeof *predicted);
            for (size_t t = 0; t < 8; t++) predicted[t] = draw_below(&draw, 11);
            series.simulated[i].predicted = predicted;
        }
        const struct simulation_score score = measure(series, NULL);
        n_covered += score.interval.low <= 0.0 && score.interval.high >= 0.0;
    }
    cr_expect_geq(n_covered, 88, "%u of 100", n_covered);
    cr_expect_lt(n_covered, 100);
}

Test(simulation, refuses_what_is_no_prediction)
{
    static const double values[] = {-0.001, 10.001, NAN, INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct series series = drawn_series(9, 2, 0.0);
        double bad[8] = {1, 2, 3, 4, 5, 6, 7, values[i]};
        series.simulated[1].predicted = bad;
        struct simulation_score score = {.n_windows = 99};
        struct simulation_fit fit;
        struct error err = {0};
        cr_expect_eq(simulation_measure(series.simulated, 2, NULL, &PARAMS, &score, &err),
                     ST_BAD_INPUT);
        cr_expect_eq(score.n_windows, 99);
        cr_expect(strstr(err.text, "window 1") && strstr(err.text, "token 7"), "%s", err.text);
        cr_expect_eq(simulation_calibrate(series.simulated, 2, &fit, NULL), ST_BAD_INPUT);
    }
}
