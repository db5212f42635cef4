/* Draws without repetition, from few numbers and from many. */
#include "worker/prompts/distinct_draw.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N_DRAWN = 500 };

static void draw_all(uint64_t seed, uint64_t n_possible, size_t n, uint64_t *out)
{
    struct draw draw = draw_open(seed, 1, 0);
    cr_assert_eq(distinct_draw(&draw, n_possible, n, out, NULL), ST_OK);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(distinct_draw, no_number_comes_twice_or_is_too_large)
{
    static const uint64_t possible[] = {N_DRAWN,         N_DRAWN + 1,   2 * N_DRAWN,
                                        2 * N_DRAWN + 1, 100 * N_DRAWN, UINT64_MAX};
    uint64_t drawn[N_DRAWN];
    for (size_t p = 0; p < sizeof possible / sizeof possible[0]; p++) {
        draw_all(7, possible[p], N_DRAWN, drawn);
        qsort(drawn, N_DRAWN, sizeof drawn[0], compare);
        for (size_t i = 1; i < N_DRAWN; i++) cr_expect_lt(drawn[i - 1], drawn[i]);
        cr_expect_lt(drawn[N_DRAWN - 1], possible[p]);
    }
}

Test(distinct_draw, seeds_decide_and_every_number_is_as_likely)
{
    uint64_t first[N_DRAWN], second[N_DRAWN];
    size_t n_low = 0;
    draw_all(7, 1000000, N_DRAWN, first);
    draw_all(7, 1000000, N_DRAWN, second);
    cr_expect_eq(memcmp(first, second, sizeof first), 0);
    draw_all(8, 1000000, N_DRAWN, second);
    cr_expect_neq(memcmp(first, second, sizeof first), 0);
    for (size_t i = 0; i < N_DRAWN; i++) n_low += first[i] < 500000;
    cr_expect(n_low > 200 && n_low < 300, "%zu of %d in the lower half", n_low, N_DRAWN);
}
