/* Benjamini-Hochberg cases: tests/golden/statistics/make_statistics.py. */
#include "coordinator/session/draw.h"
#include "coordinator/session/null_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(null_model, z_and_p_are_the_textbook_ones)
{
    static const double scores[] = {0.4, 0.6, 0.5, 0.5, 0.45, 0.55};
    struct null_model model;
    cr_assert_eq(null_model_init(&model, scores, 6, NULL), ST_OK);
    cr_expect_float_eq(model.mean, 0.5, 1e-12);
    cr_expect_float_eq(model.sd, sqrt(0.025 / 5), 1e-12);
    cr_expect_float_eq(null_model_z(&model, 0.8).value, 0.3 / sqrt(0.005), 1e-9);
    cr_expect_float_eq(null_model_p(&model, 0.8), 1.0 / 7.0, 1e-12);
    cr_expect_float_eq(null_model_p(&model, 0.6), 2.0 / 7.0, 1e-12, "equal counts");
    cr_expect_float_eq(null_model_p(&model, 0.5), 5.0 / 7.0, 1e-12);
    cr_expect_float_eq(null_model_p(&model, 0.0), 1.0, 1e-12);
    cr_expect(!model.is_constant);
    null_model_fini(&model);
    null_model_fini(&model);
}

Test(null_model, constant_judge_and_too_few_scores_have_no_z)
{
    static const double same[] = {0.1, 0.1, 0.1};
    struct null_model model;
    cr_assert_eq(null_model_init(&model, same, 3, NULL), ST_OK);
    cr_expect(model.is_constant && !(model.sd > 0));
    cr_expect(!null_model_z(&model, 0.9).is_defined);
    null_model_fini(&model);
    cr_assert_eq(null_model_init(&model, same, 1, NULL), ST_OK);
    cr_expect(!model.is_constant && !null_model_z(&model, 0.9).is_defined);
    null_model_fini(&model);
    cr_assert_eq(null_model_init(&model, NULL, 0, NULL), ST_OK);
    cr_expect_eq(null_model_p(&model, 0.9), 1.0);
    null_model_fini(&model);
    static const double broken[] = {0.5, 0.0 / 0.0};
    cr_expect_eq(null_model_init(&model, broken, 2, NULL), ST_BAD_INPUT);
}

Test(null_model, does_not_depend_on_the_order_of_scores)
{
    double scores[100];
    uint32_t order[100];
    struct draw draw = {4};
    struct null_model model;
    for (uint32_t i = 0; i < 100; i++) order[i] = i;
    for (size_t i = 0; i < 100; i++) scores[i] = draw_below(&draw, 1000) / 999.0;
    cr_assert_eq(null_model_init(&model, scores, 100, NULL), ST_OK);
    for (int round = 0; round < 20; round++) {
        double shuffled[100];
        struct null_model again;
        draw_shuffle(&draw, order, 100);
        for (size_t i = 0; i < 100; i++) shuffled[i] = scores[order[i]];
        cr_assert_eq(null_model_init(&again, shuffled, 100, NULL), ST_OK);
        cr_assert(again.mean == model.mean && again.sd == model.sd, "to the last bit");
        null_model_fini(&again);
    }
    null_model_fini(&model);
}

Test(null_model, benjamini_hochberg_by_its_definition)
{
    static const double p[] = {0.216, 0.008, 0.039, 0.041, 0.001, 0.06, 0.074, 0.205, 0.212, 0.042};
    bool found[10];
    cr_assert_eq(null_benjamini_hochberg(p, 10, 0.05, found, NULL), ST_OK);
    for (size_t i = 0; i < 10; i++) cr_expect_eq(found[i], p[i] <= 0.008, "p %g", p[i]);
    static const double step_up[] = {0.04, 0.045, 0.03, 0.05};
    cr_assert_eq(null_benjamini_hochberg(step_up, 4, 0.05, found, NULL), ST_OK);
    for (size_t i = 0; i < 4; i++) cr_expect(found[i], "the largest carries the others");
    cr_assert_eq(null_benjamini_hochberg(p, 0, 0.05, found, NULL), ST_OK);
    static const double broken[] = {1.5};
    cr_expect_eq(null_benjamini_hochberg(broken, 1, 0.05, found, NULL), ST_BAD_INPUT);
    cr_expect_eq(null_benjamini_hochberg(p, 1, 2.0, found, NULL), ST_BAD_INPUT);
}

/* Under a true null a discovery happens in at most a share q of the sweeps. */
Test(null_model, uniform_p_values_give_discoveries_in_few_sweeps)
{
    struct draw draw = {6};
    size_t n_with_any = 0;
    for (int sweep = 0; sweep < 2000; sweep++) {
        double p[50];
        bool found[50], any = false;
        for (size_t i = 0; i < 50; i++) p[i] = (1.0 + draw_below(&draw, 1000000)) / 1000001.0;
        cr_assert_eq(null_benjamini_hochberg(p, 50, 0.05, found, NULL), ST_OK);
        for (size_t i = 0; i < 50; i++) any |= found[i];
        n_with_any += any;
    }
    cr_expect(n_with_any > 60 && n_with_any < 140, "5 %% of 2000: %zu", n_with_any);
}

static struct null_pair *pairs_of(size_t n, double *density, uint64_t seed, size_t *n_pairs)
{
    const struct null_pairs_params params = null_pairs_params_default(seed, 1);
    struct null_pair *pairs;
    cr_assert_eq(null_pairs_choose(density, n, &params, &pairs, n_pairs, NULL), ST_OK);
    return pairs;
}

static size_t rank_of(const double *density, size_t n, size_t index)
{
    size_t rank = 0;
    for (size_t i = 0; i < n; i++)
        rank += density[i] < density[index] || (!(density[i] > density[index]) && i < index);
    return rank;
}

Test(null_pairs, numbers_follow_the_size_of_the_sweep)
{
    static const struct {
        size_t n, want, least, most; /* per feature */
    } cases[] = {{0, 0, 0, 0},       {1, 0, 0, 0},      {2, 2, 1, 1},      {4, 12, 3, 3},
                 {10, 50, 5, 5},     {199, 995, 5, 5},  {200, 1000, 5, 5}, {300, 1000, 3, 4},
                 {1000, 1000, 1, 1}, {4000, 1000, 0, 1}};
    static double density[4000];
    struct draw draw = {1};
    for (size_t i = 0; i < 4000; i++) density[i] = draw_below(&draw, 5000);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        static size_t n_of[4000];
        size_t n_pairs;
        struct null_pair *pairs = pairs_of(cases[c].n, density, 3, &n_pairs);
        cr_expect_eq(n_pairs, cases[c].want, "%zu features: %zu", cases[c].n, n_pairs);
        memset(n_of, 0, sizeof n_of);
        for (size_t i = 0; i < n_pairs; i++) n_of[pairs[i].feature]++;
        for (size_t i = 0; i < cases[c].n; i++)
            cr_assert(n_of[i] >= cases[c].least && n_of[i] <= cases[c].most);
        free(pairs);
    }
}

Test(null_pairs, foreign_labels_come_from_the_same_decile_and_never_twice)
{
    static double density[2000];
    struct draw draw = {2};
    for (size_t i = 0; i < 2000; i++) density[i] = draw_below(&draw, 900);
    for (size_t n = 200; n <= 2000; n += 450) {
        size_t n_pairs;
        struct null_pair *pairs = pairs_of(n, density, n, &n_pairs);
        for (size_t i = 0; i < n_pairs; i++) {
            cr_assert_neq(pairs[i].feature, pairs[i].foreign);
            cr_assert_eq(rank_of(density, n, pairs[i].feature) * 10 / n,
                         rank_of(density, n, pairs[i].foreign) * 10 / n, "n %zu", n);
            if (i > 0)
                cr_assert(pairs[i].feature != pairs[i - 1].feature ||
                          pairs[i].foreign > pairs[i - 1].foreign);
        }
        free(pairs);
    }
}

Test(null_pairs, are_the_same_each_time_and_differ_by_seed)
{
    double density[300];
    for (size_t i = 0; i < 300; i++) density[i] = (double)(i % 37);
    size_t n_a, n_b, n_c, n_same = 0;
    struct null_pair *a = pairs_of(300, density, 5, &n_a), *b = pairs_of(300, density, 5, &n_b);
    struct null_pair *c = pairs_of(300, density, 6, &n_c);
    cr_assert(n_a == n_b && n_a == n_c);
    cr_expect_arr_eq(a, b, n_a * sizeof *a);
    for (size_t i = 0; i < n_a; i++) n_same += a[i].foreign == c[i].foreign;
    cr_expect_lt(n_same, n_a / 2);
    free(a);
    free(b);
    free(c);
}
