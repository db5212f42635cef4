/* Against tests/golden/circuit_verdicts/make_circuit_verdicts.py (plain numpy), to 1e-9. */
#include "coordinator/circuit/circuit_metric.h"
#include "tests/unit/circuit_cases.h"

enum { MAX_COLUMNS = 64 };

static void take_columns(const json_t *json, const char *key, const float *row, float *out)
{
    const json_t *ids = json_object_get(json, key);
    for (size_t i = 0; i < json_array_size(ids); i++)
        out[i] = row[json_integer_value(json_array_get(ids, i))];
}

Test(circuit_metric, is_that_of_the_reference)
{
    json_t *cases = load_circuit_cases();
    const json_t *metrics = json_object_get(cases, "metrics"), *json;
    size_t c;
    cr_assert_eq(json_array_size(metrics), 3);
    json_array_foreach(metrics, c, json)
    {
        const json_t *rows = json_object_get(json, "rows");
        const size_t n = json_array_size(json_array_get(rows, 0));
        const double *values = numbers_of(json, "rows");
        float row[2][MAX_COLUMNS], answers[8], distractors[8];
        double got;
        for (size_t i = 0; i < 2 * n; i++) row[i / n][i % n] = (float)values[i];
        take_columns(json, "answers", row[0], answers);
        take_columns(json, "distractors", row[0], distractors);
        struct metric_columns columns = {answers, distractors, 3, 2, 0.0};
        cr_assert_eq(circuit_metric_log_sum_exp(row[0], n, &columns.log_sum_exp, NULL), ST_OK);
        expect_number(columns.log_sum_exp, json, "log_sum_exp");
        for (int m = 0; m < METRIC_KL; m++) {
            const enum circuit_metric metric = (enum circuit_metric)m;
            cr_assert_eq(circuit_metric_value(metric, &columns, &got, NULL), ST_OK);
            expect_number(got, json, circuit_metric_name(metric));
        }
        cr_assert_eq(circuit_metric_kl(row[0], row[1], n, &got, NULL), ST_OK);
        expect_number(got, json, "kl");
    }
    json_decref(cases);
}

Test(circuit_metric, kl_of_equal_rows_is_0_and_a_shift_changes_nothing)
{
    const float row[] = {1.0F, -2.0F, 300.0F, 299.0F}, shifted[] = {2.0F, -1.0F, 301.0F, 300.0F};
    double got;
    cr_assert_eq(circuit_metric_kl(row, row, 4, &got, NULL), ST_OK);
    cr_expect_eq(got, 0.0);
    cr_assert_eq(circuit_metric_kl(row, shifted, 4, &got, NULL), ST_OK);
    cr_expect_float_eq(got, 0.0, 1e-12);
}

Test(circuit_metric, what_is_not_finite_or_not_there_is_refused)
{
    const float good[] = {1.0F, 2.0F}, bad[] = {1.0F, NAN};
    const struct metric_columns nan = {bad, good, 2, 2, 0.0}, none = {good, good, 2, 0, 0.0};
    const struct metric_columns endless = {good, good, 1, 1, INFINITY};
    struct error err = {.status = ST_OK};
    double got;
    cr_expect_eq(circuit_metric_value(METRIC_LOGIT_DIFFERENCE, &nan, &got, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "metric: answers[1] is not finite");
    cr_expect_eq(circuit_metric_value(METRIC_ACCURACY, &none, &got, NULL), ST_BAD_INPUT);
    cr_expect_eq(circuit_metric_value(METRIC_PROBABILITY, &endless, &got, NULL), ST_BAD_INPUT);
    cr_expect_eq(circuit_metric_value(METRIC_KL, &endless, &got, NULL), ST_BAD_INPUT);
    cr_expect_eq(circuit_metric_kl(good, bad, 2, &got, NULL), ST_BAD_INPUT);
    cr_expect_eq(circuit_metric_kl(good, good, 0, &got, NULL), ST_BAD_INPUT);
}

Test(circuit_metric, names_come_back)
{
    for (int m = 0; m < CIRCUIT_N_METRICS; m++) {
        const char *name = circuit_metric_name((enum circuit_metric)m);
        enum circuit_metric again;
        cr_expect(circuit_metric_parse(name, strlen(name), &again) && (int)again == m);
        cr_expect_not(circuit_metric_parse(name, strlen(name) - 1, &again));
    }
}
