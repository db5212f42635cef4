/* Nearest directions against numpy (tests/golden/make_neighbours.py), and against every pair
 * computed in double at shapes of the screen's blocks. */
#include "worker/model/nearest_directions.h"

#include "coordinator/session/draw.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { K = EVIDENCE_NEIGHBOURS };

static struct backend *open_backend(void)
{
    struct backend *backend = NULL;
    cr_assert_eq(backend_open_cpu(&backend, NULL), ST_OK);
    return backend;
}

/* out [n, K] of all rows, which are copied. */
static void find_all(const float *rows, size_t n, size_t width, const bool *is_wanted,
                     struct neighbour *out)
{
    struct backend *backend = open_backend();
    struct nearest_directions *nearest = NULL;
    struct error err = {.status = ST_OK};
    float *copy = malloc(n * width * sizeof *copy);
    cr_assert(copy);
    memcpy(copy, rows, n * width * sizeof *copy);
    cr_assert_eq(nearest_directions_create(&nearest, backend, copy, n, width, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(nearest_directions_find(nearest, 0, n, is_wanted, out, &err), ST_OK, "%s",
                 err.text);
    nearest_directions_destroy(&nearest);
    nearest_directions_destroy(&nearest);
    backend_close(&backend);
}

/* --- golden -------------------------------------------------------------------------------- */

static void expect_golden(const json_t *wanted, const struct neighbour *got, size_t row)
{
    const json_t *list = json_array_get(wanted, row);
    for (size_t i = 0; i < K; i++) {
        const json_t *want = json_array_get(list, i);
        if (!want) {
            cr_expect_eq(got[i].slot, EVIDENCE_NO_SLOT, "row %zu, place %zu", row, i);
            continue;
        }
        cr_expect_eq(got[i].slot, json_integer_value(json_array_get(want, 0)),
                     "row %zu, place %zu: %u", row, i, (unsigned)got[i].slot);
        cr_expect_float_eq((double)got[i].cosine, json_number_value(json_array_get(want, 1)), 1e-7);
    }
}

Test(nearest_directions, are_those_of_numpy)
{
    json_t *golden = json_load_file("tests/golden/neighbours.json", 0, NULL);
    cr_assert(golden);
    const json_t *rows = json_object_get(golden, "rows");
    const size_t n = json_array_size(rows), width = json_array_size(json_array_get(rows, 0));
    float *values = calloc(n * width, sizeof *values);
    bool *is_even = calloc(n, sizeof *is_even);
    struct neighbour *found = calloc(n * K, sizeof *found);
    cr_assert(n > 64 && values && is_even && found);
    for (size_t i = 0; i < n * width; i++)
        values[i] =
            (float)json_number_value(json_array_get(json_array_get(rows, i / width), i % width));
    for (size_t i = 0; i < n; i += 2) is_even[i] = true;
    find_all(values, n, width, NULL, found);
    for (size_t i = 0; i < n; i++) expect_golden(json_object_get(golden, "all"), found + i * K, i);
    find_all(values, n, width, is_even, found);
    for (size_t i = 0; i < n; i++) expect_golden(json_object_get(golden, "even"), found + i * K, i);
    free(values);
    free(is_even);
    free(found);
    json_decref(golden);
}

/* --- every pair ---------------------------------------------------------------------------- */

static double cosine_of(const float *a, const float *b, size_t width)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < width; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
}

/* Is the list the K best: none outside it is larger than the last, and it falls? */
static void expect_nearest(const float *rows, size_t n, size_t width, size_t row,
                           const struct neighbour *got)
{
    bool is_listed[1024] = {false};
    size_t n_listed = 0;
    float last = 0;
    for (size_t i = 0; i < K && got[i].slot != EVIDENCE_NO_SLOT; i++, n_listed++) {
        const double want = cosine_of(rows + row * width, rows + got[i].slot * width, width);
        cr_assert_lt(got[i].slot, n);
        cr_assert_neq(got[i].slot, row);
        cr_expect_not(is_listed[got[i].slot], "each once");
        is_listed[got[i].slot] = true;
        cr_expect_float_eq((double)got[i].cosine, fmin(want, 1), 1e-7);
        if (i > 0) cr_expect_leq(got[i].cosine, got[i - 1].cosine);
        last = got[i].cosine;
    }
    for (size_t j = 0; j < n; j++) {
        if (j == row || is_listed[j]) continue;
        const float other = (float)cosine_of(rows + row * width, rows + j * width, width);
        cr_expect_leq(other, n_listed == K ? last : 0, "row %zu: %zu was left out", row, j);
    }
}

Test(nearest_directions, leave_no_nearer_one_out)
{
    static const struct {
        size_t n, width;
    } shapes[] = {{1, 1}, {2, 3}, {31, 31}, {64, 8}, {257, 64}, {700, 5}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const size_t n = shapes[s].n, width = shapes[s].width;
        float *rows = calloc(n * width, sizeof *rows);
        struct neighbour *found = calloc(n * K, sizeof *found);
        struct draw draw = {s + 1};
        cr_assert(rows && found);
        for (size_t i = 0; i < n * width; i++)
            rows[i] = (float)draw_below(&draw, 2001) / 1000.0f - 1.0f;
        find_all(rows, n, width, NULL, found);
        for (size_t i = 0; i < n; i++) expect_nearest(rows, n, width, i, found + i * K);
        free(rows);
        free(found);
    }
}

/* A thousand equal rows: the screen cannot tell them apart, the numbers do. */
Test(nearest_directions, of_equal_rows_are_the_first_ones)
{
    enum { N = 1000, WIDTH = 33 };
    float *rows = calloc(N * WIDTH, sizeof *rows);
    struct neighbour *found = calloc(N * K, sizeof *found);
    cr_assert(rows && found);
    for (size_t i = 0; i < N * WIDTH; i++) rows[i] = 0.1f + (float)(i % WIDTH) / 7.0f;
    find_all(rows, N, WIDTH, NULL, found);
    for (size_t i = 0; i < N; i++)
        for (uint32_t j = 0; j < K; j++) {
            cr_expect_eq(found[i * K + j].slot, i <= j ? j + 1 : j, "row %zu, place %u", i, j);
            cr_expect_eq(found[i * K + j].cosine, 1.0f);
        }
    free(rows);
    free(found);
}

Test(nearest_directions, rows_that_are_not_there_are_refused)
{
    struct backend *backend = open_backend();
    struct nearest_directions *nearest = NULL;
    struct neighbour found[K];
    float *rows = calloc(3 * 2, sizeof *rows);
    struct error err = {.status = ST_OK};
    cr_expect_eq(nearest_directions_create(&nearest, backend, rows, 0, 2, &err), ST_TOO_LARGE);
    cr_assert_eq(nearest_directions_create(&nearest, backend, rows, 3, 2, &err), ST_OK);
    cr_expect_eq(nearest_directions_find(nearest, 3, 1, NULL, found, &err), ST_BAD_INPUT);
    cr_assert_eq(nearest_directions_find(nearest, 1, 1, NULL, found, NULL), ST_OK);
    cr_expect_eq(found[0].slot, EVIDENCE_NO_SLOT, "a zero row has no neighbours");
    nearest_directions_destroy(&nearest);
    backend_close(&backend);
}
