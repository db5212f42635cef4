/* The exact percentiles of SIX come from tests/golden/statistics/make_statistics.py, which
 * enumerates all 6^6 resamples. */
#include "coordinator/session/bootstrap.h"
#include "coordinator/session/draw.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static const struct document_counts SIX[6] = {
    {1, {2, 0, 1, 0, 0, 0}, {1, 1, 1, 0, 0, 0}}, {2, {1, 1, 2, 0, 0, 0}, {1, 1, 1, 1, 0, 0}},
    {3, {0, 1, 1, 1, 0, 0}, {1, 0, 1, 1, 0, 0}}, {4, {3, 0, 0, 1, 0, 0}, {2, 1, 0, 1, 0, 0}},
    {5, {1, 0, 1, 0, 0, 0}, {0, 1, 1, 0, 0, 0}}, {6, {0, 2, 2, 1, 0, 0}, {1, 1, 2, 1, 0, 0}}};

static struct bootstrap_params params(uint32_t n_resamples)
{
    return (struct bootstrap_params){n_resamples, 0.95, 17, 4};
}

Test(bootstrap, quantile_interpolates_between_order_statistics)
{
    double values[] = {5, 1, 4, 2, 3};
    cr_expect_float_eq(bootstrap_quantile(values, 5, 0.0), 1.0, 0);
    cr_expect_float_eq(bootstrap_quantile(values, 5, 1.0), 5.0, 0);
    cr_expect_float_eq(bootstrap_quantile(values, 5, 0.5), 3.0, 0);
    cr_expect_float_eq(bootstrap_quantile(values, 5, 0.1), 1.4, 1e-12);
    double one[] = {7};
    cr_expect_float_eq(bootstrap_quantile(one, 1, 0.3), 7.0, 0);
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

Test(bootstrap, quantile_equals_that_of_a_sorted_copy)
{
    struct draw draw = {9};
    for (size_t n = 1; n < 200; n++) {
        double values[200], sorted[200];
        for (size_t i = 0; i < n; i++) sorted[i] = values[i] = draw_below(&draw, 12);
        qsort(sorted, n, sizeof sorted[0], compare_doubles);
        const double q = draw_below(&draw, 1001) / 1000.0;
        const double place = q * (double)(n - 1);
        const size_t low = (size_t)place, high = low + 1 < n ? low + 1 : low;
        const double want = sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
        cr_assert_float_eq(bootstrap_quantile(values, n, q), want, 1e-12, "n %zu q %g", n, q);
    }
}

Test(bootstrap, agrees_with_the_exact_distribution_over_all_resamples)
{
    struct interval got;
    const struct bootstrap_params many = params(200000);
    cr_assert_eq(bootstrap_balanced_accuracy(SIX, 6, &many, &got, NULL), ST_OK);
    cr_expect_float_eq(got.low, 0.45726495726495725, 0.006, "%g", got.low);
    cr_expect_float_eq(got.high, 0.875, 0.006, "%g", got.high);
    cr_assert_eq(bootstrap_f1(SIX, 6, &many, &got, NULL), ST_OK);
    cr_expect_float_eq(got.low, 0.26666666666666666, 0.006, "%g", got.low);
    cr_expect_float_eq(got.high, 0.9, 0.006, "%g", got.high);
    cr_assert_eq(bootstrap_difference(SIX, 6, &many, &got, NULL), ST_OK);
    cr_expect_float_eq(got.low, -0.14204545454545459, 0.006, "%g", got.low);
    cr_expect_float_eq(got.high, 0.2987012987012988, 0.006, "%g", got.high);
}

static bool balanced_of_drawn(void *context, const uint32_t *drawn, size_t n, double *value)
{
    const struct document_counts *documents = context;
    struct confusion sum = {0};
    for (size_t i = 0; i < n; i++) {
        sum.n_true_firing += documents[drawn[i]].label.n_true_firing;
        sum.n_missed += documents[drawn[i]].label.n_missed;
        sum.n_true_silent += documents[drawn[i]].label.n_true_silent;
        sum.n_false_alarm += documents[drawn[i]].label.n_false_alarm;
    }
    const struct score_value score = score_balanced_accuracy(&sum);
    *value = score.value;
    return score.is_defined;
}

Test(bootstrap, any_statistic_takes_the_same_kind_of_resamples)
{
    struct document_counts documents[6];
    for (size_t i = 0; i < 6; i++) documents[i] = SIX[i];
    struct interval got;
    const struct bootstrap_params many = params(100000);
    cr_assert_eq(bootstrap_documents(balanced_of_drawn, documents, 6, &many, &got, NULL), ST_OK);
    cr_expect_float_eq(got.low, 0.45726495726495725, 0.006, "%g", got.low);
    cr_expect_float_eq(got.high, 0.875, 0.006, "%g", got.high);
}

Test(bootstrap, same_seed_same_interval_and_another_subject_another_stream)
{
    struct interval a, b, c;
    struct bootstrap_params one = params(2000), other = params(2000);
    other.subject = 5;
    cr_assert_eq(bootstrap_documents(balanced_of_drawn, (void *)(uintptr_t)SIX, 6, &one, &a, NULL),
                 ST_OK);
    cr_assert_eq(bootstrap_documents(balanced_of_drawn, (void *)(uintptr_t)SIX, 6, &one, &b, NULL),
                 ST_OK);
    cr_assert_eq(
        bootstrap_documents(balanced_of_drawn, (void *)(uintptr_t)SIX, 6, &other, &c, NULL), ST_OK);
    cr_expect(a.low == b.low && a.high == b.high);
    struct draw first = draw_stream(17, DRAW_BOOTSTRAP, 4),
                second = draw_stream(17, DRAW_BOOTSTRAP, 5);
    cr_expect_neq(draw_next(&first), draw_next(&second));
}

Test(bootstrap, redraws_what_lacks_a_class_and_gives_up_without_one)
{
    static const struct document_counts apart[2] = {
        {.document_key = 1, .label = {.n_true_firing = 1}},
        {.document_key = 2, .label = {.n_true_silent = 1}}};
    struct interval got;
    const struct bootstrap_params some = params(2000);
    cr_assert_eq(bootstrap_balanced_accuracy(apart, 2, &some, &got, NULL), ST_OK);
    cr_expect(got.is_defined && got.low == 1.0 && got.high == 1.0);
    cr_expect(got.n_redrawn > 1700 && got.n_redrawn < 2300, "half of the draws: %u", got.n_redrawn);
    cr_assert_eq(bootstrap_balanced_accuracy(apart, 1, &some, &got, NULL), ST_OK);
    cr_expect(!got.is_defined);
    cr_assert_eq(bootstrap_balanced_accuracy(apart, 0, &some, &got, NULL), ST_OK);
    cr_expect(!got.is_defined);
}

Test(bootstrap, constant_score_has_an_interval_of_no_width)
{
    static const struct document_counts same[3] = {{1, {1, 0, 1, 0, 0, 0}, {0, 0, 0, 0, 0, 0}},
                                                   {2, {1, 0, 1, 0, 0, 0}, {0, 0, 0, 0, 0, 0}},
                                                   {3, {2, 0, 1, 0, 0, 0}, {0, 0, 0, 0, 0, 0}}};
    struct interval got;
    const struct bootstrap_params some = params(2000);
    cr_assert_eq(bootstrap_balanced_accuracy(same, 3, &some, &got, NULL), ST_OK);
    cr_expect(got.is_defined && got.low == 1.0 && got.high == 1.0 && got.n_redrawn == 0);
}

Test(bootstrap, groups_judgements_by_document_whatever_their_order)
{
    struct judgement judgements[9];
    for (size_t i = 0; i < 9; i++)
        judgements[i] = (struct judgement){.document_key = 100 - i % 3,
                                           .truth = i < 5 ? WINDOW_FIRING : WINDOW_SILENT_RANDOM,
                                           .answer = i % 2 ? ANSWER_FIRES : ANSWER_SILENT};
    struct document_counts *forward, *backward;
    size_t n_forward, n_backward;
    cr_assert_eq(
        document_counts_build(judgements, 9, NULL, 0, NEGATIVES_RANDOM, &forward, &n_forward, NULL),
        ST_OK);
    struct judgement reversed[9];
    for (size_t i = 0; i < 9; i++) reversed[i] = judgements[8 - i];
    cr_assert_eq(
        document_counts_build(reversed, 9, NULL, 0, NEGATIVES_RANDOM, &backward, &n_backward, NULL),
        ST_OK);
    cr_assert_eq(n_forward, 3);
    cr_assert_eq(n_backward, 3);
    for (size_t d = 0; d < 3; d++) {
        cr_expect_eq(forward[d].document_key, 98 + d);
        cr_expect_arr_eq(&forward[d].label, &backward[d].label, sizeof forward[d].label);
    }
    cr_expect_eq(forward[2].label.n_true_firing + forward[2].label.n_missed, 2);
    free(forward);
    free(backward);
}

Test(bootstrap, paired_labels_must_be_judged_on_the_same_windows)
{
    struct judgement label[2] = {{.document_key = 1, .truth = WINDOW_FIRING},
                                 {.document_key = 1, .truth = WINDOW_SILENT_RANDOM}};
    struct judgement rival[2] = {{.document_key = 1, .truth = WINDOW_FIRING},
                                 {.document_key = 2, .truth = WINDOW_SILENT_RANDOM}};
    struct document_counts *counts = NULL;
    size_t n;
    struct error err = {0};
    cr_expect_eq(document_counts_build(label, 2, rival, 2, NEGATIVES_RANDOM, &counts, &n, &err),
                 ST_BAD_INPUT);
    cr_expect_null(counts);
    rival[1].document_key = 1;
    cr_expect_eq(document_counts_build(label, 2, rival, 2, NEGATIVES_RANDOM, &counts, &n, NULL),
                 ST_OK);
    free(counts);
}

Test(bootstrap, refuses_senseless_parameters)
{
    struct interval got;
    struct error err = {0};
    struct bootstrap_params bad = params(0);
    cr_expect_eq(bootstrap_balanced_accuracy(SIX, 6, &bad, &got, &err), ST_BAD_INPUT);
    bad = params(10);
    bad.confidence = 1.0;
    cr_expect_eq(bootstrap_balanced_accuracy(SIX, 6, &bad, &got, NULL), ST_BAD_INPUT);
    struct document_counts huge[2] = {SIX[0], SIX[1]};
    huge[0].label.n_true_firing = UINT32_MAX;
    const struct bootstrap_params some = params(10);
    cr_expect_eq(bootstrap_balanced_accuracy(huge, 2, &some, &got, NULL), ST_TOO_LARGE);
}
