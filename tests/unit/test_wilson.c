/* Numbers from tests/golden/statistics/make_wilson.py: statsmodels, and the quadratic's roots. */
#include "coordinator/session/wilson.h"

#include <criterion/criterion.h>
#include <math.h>

Test(wilson, equals_the_reference)
{
    static const struct {
        uint64_t n_yes, n, population;
        double low, high;
    } cases[] = {
        {0, 1, 0, 0.0, 0.79345068562276261},
        {1, 1, 0, 0.20654931437723739, 1.0},
        {0, 10, 0, 0.0, 0.27753279986288925},
        {10, 10, 0, 0.72246720013711075, 1.0},
        {1, 10, 0, 0.017876213095072904, 0.4041500267952385},
        {41, 50, 0, 0.69203946325699217, 0.90229807329765824},
        {7, 13, 0, 0.29143795714506006, 0.76793932190461699},
        {999, 1000, 0, 0.99435744140204206, 0.99982345362937392},
        {123456, 1000000, 0, 0.12281269653142285, 0.12410219641400438},
        {41, 50, 64, 0.76456284602721055, 0.8646937613291925},
        {41, 50, 51, 0.80445272669795542, 0.83456536862250381},
        {3, 4, 5, 0.50501683464491221, 0.89817932508786953},
        {50, 50, 213, 0.94422332202963368, 1.0},
        {1, 13, 100000, 0.013711580074920567, 0.33312047204949498},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct wilson got =
            wilson_interval(cases[i].n_yes, cases[i].n, cases[i].population, WILSON_Z_95);
        cr_assert(got.is_defined);
        cr_expect_float_eq(got.share, (double)cases[i].n_yes / (double)cases[i].n, 1e-15);
        cr_expect(fabs(got.low - cases[i].low) < 1e-12, "case %zu: low %.17g", i, got.low);
        cr_expect(fabs(got.high - cases[i].high) < 1e-12, "case %zu: high %.17g", i, got.high);
    }
}

Test(wilson, who_asks_everybody_knows_the_share)
{
    const struct wilson all = wilson_interval(3, 8, 8, WILSON_Z_95);
    const struct wilson one = wilson_interval(0, 1, 1, WILSON_Z_95);
    cr_expect_float_eq(all.low, 0.375, 1e-15);
    cr_expect_float_eq(all.high, 0.375, 1e-15);
    cr_expect(one.is_defined && one.low <= 0 && one.high <= 0);
}

Test(wilson, never_leaves_the_unit_interval_nor_the_share)
{
    for (uint64_t n = 1; n <= 300; n++)
        for (uint64_t k = 0; k <= n; k++) {
            const struct wilson got = wilson_interval(k, n, n % 2 ? 0 : 301, WILSON_Z_95);
            cr_assert(got.low >= 0 && got.low <= got.share && got.share <= got.high &&
                          got.high <= 1,
                      "%d of %d: %.17g to %.17g", (int)k, (int)n, got.low, got.high);
        }
}

Test(wilson, is_undefined_where_there_is_no_share)
{
    cr_expect_not(wilson_interval(0, 0, 0, WILSON_Z_95).is_defined);
    cr_expect_not(wilson_interval(0, 0, 10, WILSON_Z_95).is_defined);
    cr_expect_not(wilson_interval(3, 2, 0, WILSON_Z_95).is_defined);
    cr_expect_not(wilson_interval(3, 11, 10, WILSON_Z_95).is_defined);
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* Over every possible number of true labels: how often does the interval of a sample without
 * replacement hold the true share? Exactly, by the hypergeometric distribution. */
static double mean_coverage(uint64_t n, uint64_t population, uint64_t assumed)
{
    double sum = 0;
    for (uint64_t n_true = 1; n_true < population; n_true++)
        for (uint64_t k = 0; k <= n && k <= n_true; k++) {
            if (n - k > population - n_true) continue;
            const struct wilson got = wilson_interval(k, n, assumed, WILSON_Z_95);
            const double share = (double)n_true / (double)population;
            const double n_false = (double)(population - n_true);
            const double log_p = log_choose((double)n_true, (double)k) +
                                 log_choose(n_false, (double)(n - k)) -
                                 log_choose((double)population, (double)n);
            if (got.low <= share && share <= got.high) sum += exp(log_p);
        }
    return sum / (double)(population - 1);
}

Test(wilson, covers_a_finite_population_as_often_as_it_says)
{
    const double corrected = mean_coverage(50, 100, 100), plain = mean_coverage(50, 100, 0);
    cr_expect(corrected > 0.94 && corrected < 0.97, "corrected: %.4f", corrected);
    cr_expect(plain > 0.985, "without the correction it is too wide: %.4f", plain);
}
