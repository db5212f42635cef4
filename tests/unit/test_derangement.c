#include "coordinator/session/derangement.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 500 };

/* Densities in no order, some of them equal. */
static void fill(double *density, size_t n)
{
    for (size_t i = 0; i < n; i++) density[i] = (double)(hash_mix64(i) % (n + 1)) / (double)(n + 1);
}

static size_t rank_of(const double *density, size_t n, size_t index)
{
    size_t rank = 0;
    for (size_t i = 0; i < n; i++)
        rank += density[i] < density[index] || (density[i] <= density[index] && i < index);
    return rank;
}

static size_t group_of(size_t rank, size_t n)
{
    const size_t n_groups = derangement_n_groups(n);
    size_t group = 0;
    while ((group + 1) * n / n_groups <= rank) group++;
    return group;
}

Test(derangement, gives_every_feature_another_of_its_decile_once)
{
    static const size_t sizes[] = {2, 3, 4, 5, 19, 20, 21, 40, 101, MOST};
    double density[MOST];
    uint32_t partners[MOST];
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        const size_t n = sizes[k];
        bool is_given[MOST] = {false};
        fill(density, n);
        cr_assert_eq(derangement_choose(density, n, 7, partners, NULL), ST_OK);
        for (size_t i = 0; i < n; i++) {
            cr_assert_lt(partners[i], n);
            cr_expect_neq(partners[i], i, "%zu of %zu keeps its own windows", i, n);
            cr_expect(!is_given[partners[i]], "%zu of %zu: given twice", i, n);
            is_given[partners[i]] = true;
            cr_expect_eq(group_of(rank_of(density, n, i), n),
                         group_of(rank_of(density, n, partners[i]), n),
                         "%zu of %zu leaves its decile", i, n);
        }
    }
}

Test(derangement, has_ten_groups_once_each_can_hold_two)
{
    static const size_t wanted[][2] = {{0, 0}, {1, 0},  {2, 1},   {3, 1},
                                       {4, 2}, {19, 9}, {20, 10}, {99999, 10}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        cr_expect_eq(derangement_n_groups(wanted[i][0]), wanted[i][1], "%zu", wanted[i][0]);
}

Test(derangement, is_seeded_and_does_not_depend_on_the_order_of_features)
{
    double density[40], turned[40];
    uint32_t first[40], again[40], other[40], back[40];
    for (size_t i = 0; i < 40; i++) density[i] = (double)(hash_mix64(i) >> 11);
    for (size_t i = 0; i < 40; i++) turned[i] = density[39 - i];
    cr_assert_eq(derangement_choose(density, 40, 1, first, NULL), ST_OK);
    cr_assert_eq(derangement_choose(density, 40, 1, again, NULL), ST_OK);
    cr_assert_eq(derangement_choose(density, 40, 2, other, NULL), ST_OK);
    cr_assert_eq(derangement_choose(turned, 40, 1, back, NULL), ST_OK);
    cr_expect_arr_eq(first, again, sizeof first);
    cr_expect(memcmp(first, other, sizeof first) != 0, "another seed, other partners");
    for (size_t i = 0; i < 40; i++) cr_expect_eq(back[39 - i], 39 - first[i]);
}

/* Over many seeds each of the others comes about as often: 4,000 draws of 1 in 2. */
Test(derangement, partners_are_uniform_over_the_others)
{
    static const double density[5] = {0.1, 0.2, 0.3, 0.4, 0.5};
    size_t n_seen[5] = {0};
    uint32_t partners[5];
    cr_assert_eq(derangement_n_groups(5), 2);
    for (uint64_t seed = 0; seed < 4000; seed++) {
        cr_assert_eq(derangement_choose(density, 5, seed, partners, NULL), ST_OK);
        n_seen[partners[4]]++; /* of the group 2, 3, 4 */
    }
    cr_expect_eq(n_seen[0] + n_seen[1] + n_seen[4], 0);
    for (size_t i = 2; i < 4; i++)
        cr_expect(n_seen[i] > 1800 && n_seen[i] < 2200, "%zu", n_seen[i]);
}

Test(derangement, one_feature_alone_is_refused)
{
    static const double density[1] = {0.1};
    uint32_t partners[1] = {9};
    struct error err = {0};
    cr_expect_eq(derangement_choose(density, 1, 0, partners, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "one feature alone has no other to exchange with");
    cr_expect_eq(derangement_choose(density, 0, 0, partners, NULL), ST_OK, "nobody, nothing");
    cr_expect_eq(partners[0], 9);
}
