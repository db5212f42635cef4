/* Selecting all at once keeps what inserting one by one keeps. */
#include "worker/tasks/capture_select.h"

#include "common/evidence_select.h"
#include "common/hash.h"

#include <criterion/criterion.h>

enum { N = 700 };

static struct capture_candidate candidates[N];
static uint32_t by_bin[N], chosen[N], place[N];
static uint64_t key[N], order[N];

/* Windows in the order of their documents; n_values and n_keys say how many are equal. */
static void fill(size_t n, uint64_t seed, uint64_t n_values, uint64_t n_keys)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t random = hash_mix64(seed * 1000 + i);
        const uint64_t step = (random >> 8) % n_values;
        candidates[i] = (struct capture_candidate){
            .key = random % n_keys,
            .max_value = (float)(1 + step) * (float)(1u << (random >> 40) % 12) / 64.0f,
            .run = (uint32_t)i,
        };
        candidates[i].bin = evidence_reservoir_bin(candidates[i].max_value);
    }
}

static void mark_by_insertion(const struct evidence_limits *limits, size_t n, bool *is_kept)
{
    static struct evidence_firing list[EVIDENCE_MAX_FIRING + 1];
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct evidence_firing firing = {.key = candidates[i].key,
                                               .max_value = candidates[i].max_value,
                                               .document_index = (uint32_t)i,
                                               .first = (uint32_t)i};
        is_kept[i] = false;
        (void)evidence_insert_firing(list, &n_kept, limits, &firing);
    }
    for (size_t i = 0; i < n_kept; i++) is_kept[list[i].first] = true;
}

Test(capture_select, keeps_what_insertion_keeps)
{
    static const uint32_t top_ks[] = {1, 5, 20, 256}, bin_ks[] = {0, 1, 4, 6, 64};
    static const uint64_t n_values[] = {1, 3, 1000000}, n_keys[] = {1, 50, UINT64_MAX};
    static bool want[N];
    struct capture_hits hits = {key, order, place, 0};
    const struct capture_select_room room = {&hits, by_bin, chosen};
    for (size_t trial = 0; trial < 720; trial++) {
        const struct evidence_limits limits = {.top_k = top_ks[trial % 4],
                                               .bin_k = bin_ks[trial % 5]};
        const size_t n = trial % 2 ? trial % 70 : trial * N / 720;
        fill(n, trial, n_values[trial % 3], n_keys[trial / 3 % 3]);
        mark_by_insertion(&limits, n, want);
        capture_select(&room, &limits, candidates, n);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(candidates[i].is_kept, want[i], "trial %zu: window %zu of %zu, top %u, %u",
                         trial, i, n, limits.top_k, limits.bin_k);
    }
}
