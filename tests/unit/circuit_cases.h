/* tests/golden/circuit_verdicts/cases.json for the tests of coordinator/circuit/. Memory is that
 * of keep_alloc(): it lives as long as the test process. */
#ifndef TESTS_UNIT_CIRCUIT_CASES_H
#define TESTS_UNIT_CIRCUIT_CASES_H

#include "coordinator/circuit/circuit_measures.h"
#include "tests/support/session_windows.h"

#include <jansson.h>
#include <math.h>

/* The whole file; the caller drops the reference. */
static inline json_t *load_circuit_cases(void)
{
    json_t *cases = json_load_file("tests/golden/circuit_verdicts/cases.json", 0, NULL);
    cr_assert(cases != NULL);
    return cases;
}

static inline void flatten(const json_t *list, double *out, size_t *n)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (json_is_array(item))
            flatten(item, out, n);
        else
            out[(*n)++] = json_number_value(item);
    }
}

/* The numbers under `key`, row by row; NULL if there is no such key. */
static inline const double *numbers_of(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    const json_t *first = json_array_get(list, 0);
    const size_t n_columns = json_is_array(first) ? json_array_size(first) : 1;
    size_t n = 0;
    if (!list) return NULL;
    double *out = keep_alloc(json_array_size(list) * n_columns + 1, sizeof *out);
    flatten(list, out, &n);
    return out;
}

static inline const uint32_t *indices_of(const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    uint32_t *out = keep_alloc(json_array_size(list) + 1, sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static inline struct prompt_units units_of(const json_t *object)
{
    const size_t n = json_array_size(json_object_get(object, "units"));
    struct prompt_units units = {indices_of(object, "units"), n, 0};
    for (size_t i = 0; i < n; i++)
        if (units.unit_of[i] >= units.n_units) units.n_units = units.unit_of[i] + 1;
    return units;
}

/* To 1e-9, relative above 1. */
static inline void expect_number(double got, const json_t *object, const char *key)
{
    const json_t *want = json_object_get(object, key);
    const double number = json_number_value(want);
    cr_expect(json_is_number(want), "%s is no number", key);
    cr_expect(fabs(got - number) <= 1e-9 * fmax(1.0, fabs(number)), "%s: %.17g, not %.17g", key,
              got, number);
}

/* The same, or undefined where it is null. */
static inline void expect_score(struct score_value got, const json_t *object, const char *key)
{
    cr_expect_eq(got.is_defined, json_is_number(json_object_get(object, key)), "%s", key);
    if (got.is_defined) expect_number(got.value, object, key);
}

#endif
