/* Orders by size, and how good they were: Spearman's correlation against a plain count of ranks
 * with ties (values that scipy.stats.spearmanr gives), precision at the size of the circuit. */
#include "coordinator/circuit/order_quality.h"
#include "coordinator/circuit/rank_correlation.h"

#include <criterion/criterion.h>

static struct score_value some(double value)
{
    return (struct score_value){true, value};
}

static struct score_value correlation(const double *a, const double *b, size_t n)
{
    struct score_value out;
    struct error err = {0};
    cr_assert_eq(rank_correlation(a, b, n, &out, &err), ST_OK);
    return out;
}

Test(rank_correlation, is_that_of_scipy)
{
    static const double a[] = {3, 1, 4, 1, 5, 9, 2, 6}, b[] = {2, 7, 1, 8, 2, 8, 1, 8};
    static const double up[] = {1, 2, 3, 1e9};
    static const double down[] = {4, 3, 0, -5};
    cr_expect_float_eq(correlation(a, b, 8).value, 0.19885368120992467, 1e-14);
    cr_expect_float_eq(correlation(up, up, 4).value, 1, 1e-15);
    cr_expect_float_eq(correlation(up, down, 4).value, -1, 1e-15);
}

Test(rank_correlation, is_undefined_where_nothing_varies)
{
    static const double a[] = {1, 2, 3}, same[] = {5, 5, 5};
    cr_expect_not(correlation(a, same, 3).is_defined);
    cr_expect_not(correlation(a, a, 1).is_defined);
    cr_expect_not(correlation(a, a, 0).is_defined);
}

Test(order_quality, the_largest_comes_first_and_what_has_no_score_last)
{
    const struct score_value scores[] = {some(0.1), {false, 0}, some(-3), some(0.1), some(2)};
    static const uint32_t want[] = {2, 4, 0, 3, 1};
    uint32_t order[5];
    size_t n_named;
    struct error err = {0};
    cr_assert_eq(order_by_size(scores, 5, order, &n_named, &err), ST_OK);
    cr_expect_arr_eq(order, want, sizeof want);
    cr_expect_eq(n_named, 4);
}

Test(order_quality, precision_is_that_of_as_many_as_were_found)
{
    const struct score_value scores[] = {some(5), some(-4), some(3), some(2), {false, 0}};
    const struct score_value effects[] = {some(5), some(1), {false, 0}, some(-3), some(4)};
    const bool is_found[] = {true, false, false, true, false};
    const struct ordered_items items = {scores, effects, is_found, 5};
    struct order_quality quality;
    struct error err = {0};
    cr_assert_eq(order_quality_measure(&items, &quality, &err), ST_OK);
    cr_expect_float_eq(quality.found.precision_first.value, 0.5, 1e-12); /* 0 and 1: one is right */
    cr_expect_float_eq(quality.found.auroc.value, 4.0 / 6, 1e-12);
    cr_expect_eq(quality.n_compared, 3);
    cr_expect_float_eq(quality.rank_correlation.value, 0.5, 1e-12); /* 5 4 2 beside 5 1 3 */
    json_t *json = order_quality_json(&quality);
    cr_expect_eq(json_integer_value(json_object_get(json, "n_ordered")), 4);
    json_decref(json);
}
