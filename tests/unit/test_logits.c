#include "worker/tasks/logits.h"

#include <criterion/criterion.h>
#include <math.h>

static const double LN2 = 0.69314718055994531;

Test(logits, kl_is_that_of_the_distributions)
{
    /* p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2), each shifted by a constant */
    const float p[] = {3.0f, 3.0f - (float)LN2, 3.0f - (float)LN2};
    const float q[] = {-1.0f - (float)LN2, -1.0f - (float)LN2, -1.0f};
    cr_expect_float_eq(logits_kl(p, q, 3), 0.25 * LN2, 1e-6);
    cr_expect_eq(logits_kl(p, p, 3), 0.0);
    const float far[] = {0, 1e4f}, other[] = {1e4f, 0};
    cr_expect_float_eq(logits_kl(far, other, 2), 1e4, 1e-6, "no logarithm of 0");
}

Test(logits, a_draw_takes_the_token_at_its_place)
{
    const float logits[] = {0, (float)LN2, -INFINITY, 0}; /* 1/4, 1/2, 0, 1/4 */
    static const struct {
        double place;
        uint32_t want;
    } cases[] = {{0, 0}, {0.24, 0}, {0.26, 1}, {0.74, 1}, {0.76, 3}, {0.9999999999999999, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(logits_draw(logits, 4, 1, cases[i].place), cases[i].want, "at %g",
                     cases[i].place);
    cr_expect_eq(logits_draw(logits, 4, 0, 0.99), 1, "greedy");
    const float tied[] = {1, 5, 5};
    cr_expect_eq(logits_draw(tied, 3, 0, 0), 1, "the lower of two");
    cr_expect_eq(logits_draw(logits, 4, 1e-3, 0.01), 1, "cold");
}

Test(logits, the_largest_changes_come_first)
{
    const float clean[] = {logf(0.5f), logf(0.2f), logf(0.2f), logf(0.1f)};
    const float steered[] = {logf(0.2f), logf(0.2f), logf(0.3f), logf(0.3f)};
    struct logits_change changes[3];
    cr_assert_eq(logits_changes(clean, steered, 4, changes, 3), 3);
    cr_expect_eq(changes[0].token, 0);
    cr_expect_eq(changes[1].token, 3);
    cr_expect_eq(changes[2].token, 2);
    cr_expect_float_eq(changes[1].p_clean, 0.1, 1e-6);
    cr_expect_float_eq(changes[1].p_steered, 0.3, 1e-6);
    cr_assert_eq(logits_changes(clean, steered, 4, changes, 1), 1);
    cr_expect_eq(changes[0].token, 0);
    cr_expect_eq(logits_changes(clean, clean, 4, changes, 3), 0, "nothing has changed");
}

Test(logits, a_value_that_is_not_finite_is_seen)
{
    const float bad[] = {0, 1, NAN}, good[] = {0, 1, -1e30f};
    cr_expect_not(logits_are_finite(bad, 3));
    cr_expect(logits_are_finite(good, 3));
}
