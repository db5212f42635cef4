#include "worker/model/weight_shuffle.h"

#include <criterion/criterion.h>
#include <string.h>

enum { N = 3001 };

static void fill(float *values)
{
    for (size_t i = 0; i < N; i++) values[i] = (float)i;
}

static size_t n_equal(const float *a, const float *b)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++) n += a[i] >= b[i] && a[i] <= b[i];
    return n;
}

Test(weight_shuffle, keeps_every_value_once_and_leaves_few_in_place)
{
    float values[N], original[N];
    bool is_there[N] = {false};
    fill(original);
    fill(values);
    weight_shuffle(values, N, 7, "h.0.weight");
    for (size_t i = 0; i < N; i++) is_there[(size_t)values[i]] = true;
    for (size_t i = 0; i < N; i++) cr_assert(is_there[i], "%zu is lost", i);
    cr_expect_lt(n_equal(values, original), 10, "one is expected to stay");
}

Test(weight_shuffle, depends_on_seed_and_name_alone)
{
    float first[N], again[N], other_seed[N], other_name[N], whole[N];
    fill(first);
    fill(again);
    fill(other_seed);
    fill(other_name);
    fill(whole);
    weight_shuffle(first, N, 7, "h.0.weight");
    weight_shuffle(again, N, 7, "h.0.weight");
    weight_shuffle(other_seed, N, 8, "h.0.weight");
    weight_shuffle(other_name, N, 7, "h.1.weight");
    cr_expect_eq(n_equal(first, again), (size_t)N, "two workers agree");
    cr_expect_lt(n_equal(first, other_seed), 10);
    cr_expect_lt(n_equal(first, other_name), 10);
    weight_shuffle(again, N, 0, "h.0.weight");
    cr_expect_eq(n_equal(first, again), (size_t)N, "0 is not a seed: nothing moves");
    weight_shuffle(whole, 0, 7, "empty");
    weight_shuffle(whole, 1, 7, "single");
    fill(again);
    cr_expect_eq(n_equal(whole, again), (size_t)N);
}

/* 6,000 shuffles of three values: each of the six orders comes about 1,000 times (sd 29). */
Test(weight_shuffle, every_order_is_as_likely)
{
    size_t n_seen[27] = {0}, n_orders = 0;
    for (uint64_t seed = 1; seed <= 6000; seed++) {
        float values[3] = {0, 1, 2};
        weight_shuffle(values, 3, seed, "three");
        n_seen[(size_t)values[0] * 9 + (size_t)values[1] * 3 + (size_t)values[2]]++;
    }
    for (size_t i = 0; i < 27; i++) {
        if (n_seen[i] == 0) continue;
        n_orders++;
        cr_expect(n_seen[i] > 820 && n_seen[i] < 1180, "order %zu: %zu times", i, n_seen[i]);
    }
    cr_expect_eq(n_orders, 6);
}
