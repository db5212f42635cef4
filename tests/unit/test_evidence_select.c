#include "common/evidence_select.h"
#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { N = 400 };

static int by_rank(const void *left, const void *right)
{
    const struct evidence_firing *a = left, *b = right;
    if (a->max_value != b->max_value) return a->max_value > b->max_value ? -1 : 1;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->document_index > b->document_index) - (a->document_index < b->document_index);
}

static bool key_before(const struct evidence_firing *a, const struct evidence_firing *b)
{
    return a->key != b->key ? a->key < b->key : a->document_index < b->document_index;
}

/* The definition: sort everything, keep the first top_k and each bin's bin_k smallest keys. */
static size_t keep_by_definition(struct evidence_firing *all, size_t n,
                                 const struct evidence_limits *limits, struct evidence_firing *kept)
{
    size_t n_kept = 0;
    qsort(all, n, sizeof *all, by_rank);
    for (size_t i = 0; i < n; i++) {
        size_t n_smaller = 0;
        for (size_t j = 0; j < n; j++)
            n_smaller += evidence_reservoir_bin(all[j].max_value) ==
                             evidence_reservoir_bin(all[i].max_value) &&
                         key_before(&all[j], &all[i]);
        all[i].is_sampled = n_smaller < limits->bin_k;
        if (i < limits->top_k || all[i].is_sampled) kept[n_kept++] = all[i];
    }
    return n_kept;
}

static void fill(struct evidence_firing *all, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t random = hash_mix64(seed * 1000 + i);
        all[i] = (struct evidence_firing){
            .key = random % 97, /* many equal keys, told apart by the document */
            .max_value = (float)(1 + (random >> 8) % 40) / 4.0f,
            .document_index = (uint32_t)i,
            .first = (uint32_t)i,
        };
    }
}

Test(evidence_select, inserts_to_what_the_definition_keeps)
{
    static const uint32_t top_ks[] = {1, 5, 20, 300}, bin_ks[] = {0, 1, 6};
    static struct evidence_firing all[N], want[N], list[EVIDENCE_MAX_FIRING + 1];
    for (size_t trial = 0; trial < 60; trial++) {
        const struct evidence_limits limits = {.top_k = top_ks[trial % 4],
                                               .bin_k = bin_ks[trial % 3]};
        const size_t n_all = 1 + trial * 6;
        size_t n = 0;
        fill(all, n_all, trial);
        for (size_t i = 0; i < n_all; i++) (void)evidence_insert_firing(list, &n, &limits, &all[i]);
        const size_t n_want = keep_by_definition(all, n_all, &limits, want);
        cr_assert_eq(n, n_want, "trial %zu: %zu kept, not %zu", trial, n, n_want);
        for (size_t i = 0; i < n; i++) {
            cr_assert_eq(list[i].first, want[i].first, "trial %zu: place %zu", trial, i);
            cr_assert_eq(list[i].is_sampled, want[i].is_sampled, "trial %zu: place %zu", trial, i);
        }
    }
}

Test(evidence_select, takes_a_window_once)
{
    const struct evidence_limits limits = {.top_k = 3, .bin_k = 2};
    const struct evidence_firing candidate = {.key = 5, .max_value = 1, .document_index = 9};
    const struct evidence_keyed item = {5, 9, 0}, next = {5, 10, 0};
    struct evidence_firing list[4];
    struct evidence_keyed smallest[4];
    size_t n = 0, n_smallest = 0;
    cr_expect(evidence_insert_firing(list, &n, &limits, &candidate));
    cr_expect_not(evidence_insert_firing(list, &n, &limits, &candidate));
    cr_expect_eq(n, 1);
    cr_expect(evidence_insert_smallest(smallest, &n_smallest, 4, &item));
    cr_expect_not(evidence_insert_smallest(smallest, &n_smallest, 4, &item));
    cr_expect(evidence_insert_smallest(smallest, &n_smallest, 4, &next));
    cr_expect_eq(n_smallest, 2);
}
