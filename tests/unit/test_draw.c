#include "coordinator/session/draw.h"

#include <criterion/criterion.h>
#include <stdbool.h>

/* splitmix64 from state 0, as published with the generator. */
Test(draw, is_splitmix64)
{
    struct draw draw = {0};
    cr_expect_eq(draw_next(&draw), UINT64_C(0xe220a8397b1dcdaf));
    cr_expect_eq(draw_next(&draw), UINT64_C(0x6e789e6aa1b965f4));
    cr_expect_eq(draw_next(&draw), UINT64_C(0x06c45d188009454f));
}

Test(draw, streams_differ_by_seed_purpose_and_subject)
{
    struct draw streams[4] = {draw_stream(1, DRAW_FUZZ, 2), draw_stream(2, DRAW_FUZZ, 2),
                              draw_stream(1, DRAW_SELECT, 2), draw_stream(1, DRAW_FUZZ, 3)};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++) cr_expect_neq(streams[i].state, streams[j].state);
    cr_expect_eq(streams[0].state, draw_stream(1, DRAW_FUZZ, 2).state);
}

Test(draw, below_is_uniform_and_in_range)
{
    struct draw draw = {5};
    size_t n_of[7] = {0};
    for (size_t i = 0; i < 70000; i++) n_of[draw_below(&draw, 7)]++;
    for (size_t k = 0; k < 7; k++)
        cr_expect(n_of[k] > 9600 && n_of[k] < 10400, "%zu: %zu", k, n_of[k]);
    cr_expect_eq(draw_below(&draw, 0), 0);
    cr_expect_eq(draw_below(&draw, 1), 0);
    for (size_t i = 0; i < 100; i++) cr_expect_lt(draw_below(&draw, 0x80000001u), 0x80000001u);
}

Test(draw, shuffle_is_a_uniform_permutation)
{
    struct draw draw = {6};
    size_t n_first[5] = {0};
    for (size_t round = 0; round < 20000; round++) {
        uint32_t items[5] = {0, 1, 2, 3, 4};
        bool seen[5] = {false};
        draw_shuffle(&draw, items, 5);
        n_first[items[0]]++;
        for (size_t i = 0; i < 5; i++) seen[items[i]] = true;
        for (size_t i = 0; i < 5; i++) cr_assert(seen[i]);
    }
    for (size_t k = 0; k < 5; k++) cr_expect(n_first[k] > 3750 && n_first[k] < 4250);
}
