#include "coordinator/session/window_select.h"
#include "tests/support/session_windows.h"

enum { N_EXPLAIN = 60, N_POOL = 240 };

struct pools {
    struct window explain[N_EXPLAIN];
    struct window pool[N_POOL];
};

/* Pool: 60 windows of each kind; two windows a document. */
static struct pools make_pools(uint64_t seed)
{
    struct pools pools;
    struct draw draw = {seed};
    for (uint32_t i = 0; i < N_EXPLAIN; i++)
        pools.explain[i] = drawn_window(&draw, 32, 5000, 10000 + i);
    for (uint32_t i = 0; i < N_POOL; i++) {
        struct window *window = &pools.pool[i];
        *window = drawn_window(&draw, 32, 5000, i / 2);
        window->document_offset = 32 * (i % 2);
        window->kind = (enum window_kind)(i % WINDOW_N_KINDS);
        if (window->kind == WINDOW_FIRING)
            fire_at(window, 5, 7, 1.0f + (float)draw_below(&draw, 1000) / 100.0f);
    }
    return pools;
}

static struct window_selection choose(const struct pools *pools, uint64_t seed)
{
    const struct window_select_params params = window_select_params_default(seed, 3);
    struct window_selection chosen;
    cr_assert_eq(
        window_select(pools->explain, N_EXPLAIN, pools->pool, N_POOL, &params, &chosen, NULL),
        ST_OK);
    return chosen;
}

Test(window_select, gives_twenty_of_each_score_without_overlaps)
{
    const struct pools pools = make_pools(1);
    struct window_selection chosen = choose(&pools, 1);
    cr_assert_eq(chosen.n_windows, 60);
    for (size_t kind = 0; kind < WINDOW_N_KINDS; kind++)
        cr_expect_eq(chosen.n_of_kind[kind], kind < WINDOW_SILENT_HARD ? 20 : 10, "%s",
                     window_kind_name((enum window_kind)kind));
    for (size_t i = 0; i < chosen.n_windows; i++)
        for (size_t j = 0; j < i; j++)
            cr_expect(!window_overlaps(&chosen.windows[i], &chosen.windows[j]));
    cr_expect_eq(chosen.n_shared_documents, 0, "120 documents are enough for 60 windows");
    cr_expect_eq(chosen.n_leaked + chosen.n_mislabelled + chosen.n_near_duplicates, 0);
    window_selection_fini(&chosen);
}

/* All but the first `n` windows of a kind are random ones. */
static void leave(struct pools *pools, enum window_kind kind, size_t n)
{
    for (size_t i = 0, n_seen = 0; i < N_POOL; i++)
        if (pools->pool[i].kind == kind && n_seen++ >= n)
            pools->pool[i].kind = WINDOW_SILENT_RANDOM;
}

Test(window_select, where_one_kind_of_hard_windows_is_short_there_are_more_of_the_other)
{
    static const struct {
        size_t n_near, n_neighbour, want_near, want_neighbour;
    } cases[] = {{60, 3, 17, 3}, {4, 60, 4, 16}, {60, 0, 20, 0}, {0, 60, 0, 20}, {3, 5, 3, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pools pools = make_pools(7);
        leave(&pools, WINDOW_SILENT_HARD, cases[i].n_near);
        leave(&pools, WINDOW_SILENT_NEIGHBOUR, cases[i].n_neighbour);
        struct window_selection chosen = choose(&pools, 1);
        cr_expect_eq(chosen.n_of_kind[WINDOW_SILENT_HARD], cases[i].want_near, "%zu", i);
        cr_expect_eq(chosen.n_of_kind[WINDOW_SILENT_NEIGHBOUR], cases[i].want_neighbour, "%zu", i);
        cr_expect_eq(chosen.n_of_kind[WINDOW_SILENT_RANDOM], 20, "%zu", i);
        window_selection_fini(&chosen);
    }
}

Test(window_select, firing_windows_are_spread_over_the_quantiles)
{
    const struct pools pools = make_pools(2);
    struct window_selection chosen = choose(&pools, 1);
    size_t n_above[4] = {0}; /* of the pool, by quarter of the range of values 1..11 */
    for (size_t i = 0; i < 20; i++) {
        const float value = window_max(&chosen.windows[i]);
        size_t rank = 0;
        for (size_t j = 0; j < N_POOL; j++) rank += window_max(&pools.pool[j]) > value;
        n_above[rank / 15]++;
        if (i > 0) cr_expect_geq(window_max(&chosen.windows[i - 1]), value, "largest first");
    }
    for (size_t quarter = 0; quarter < 4; quarter++)
        cr_expect(n_above[quarter] >= 4 && n_above[quarter] <= 6, "quarter %zu: %zu", quarter,
                  n_above[quarter]);
    window_selection_fini(&chosen);
}

Test(window_select, does_not_depend_on_order_but_on_the_seed)
{
    struct pools pools = make_pools(3);
    struct window_selection first = choose(&pools, 1), other = choose(&pools, 2);
    for (size_t i = 0; i < N_POOL / 2; i++) {
        const struct window swapped = pools.pool[i];
        pools.pool[i] = pools.pool[N_POOL - 1 - i];
        pools.pool[N_POOL - 1 - i] = swapped;
    }
    struct window_selection again = choose(&pools, 1);
    size_t n_different = 0;
    cr_assert_eq(again.n_windows, first.n_windows);
    for (size_t i = 0; i < first.n_windows; i++) {
        cr_expect_eq(first.windows[i].tokens, again.windows[i].tokens, "window %zu", i);
        n_different += first.windows[i].tokens != other.windows[i].tokens;
    }
    cr_expect_gt(n_different, 20);
    window_selection_fini(&first);
    window_selection_fini(&again);
    window_selection_fini(&other);
}

Test(window_select, no_explain_document_and_no_near_duplicate_gets_in)
{
    struct draw draw = {77};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct pools pools = make_pools(100 + seed);
        size_t n_leaks = 0, n_copies = 0;
        for (size_t i = 0; i < N_POOL; i++) {
            const uint32_t dice = draw_below(&draw, 10);
            const struct window *shown = &pools.explain[draw_below(&draw, N_EXPLAIN)];
            if (dice == 0) pools.pool[i].document_key = shown->document_key;
            if (dice == 1) pools.pool[i].tokens = shown->tokens; /* copied text, other document */
            n_leaks += dice == 0;
            n_copies += dice == 1;
        }
        struct window_selection chosen = choose(&pools, seed);
        cr_assert_eq(chosen.n_leaked, n_leaks);
        cr_assert_eq(chosen.n_near_duplicates, n_copies);
        for (size_t i = 0; i < chosen.n_windows; i++)
            for (size_t j = 0; j < N_EXPLAIN; j++) {
                cr_assert_neq(chosen.windows[i].document_key, pools.explain[j].document_key);
                cr_assert_neq(chosen.windows[i].tokens, pools.explain[j].tokens);
            }
        window_selection_fini(&chosen);
    }
}

Test(window_select, windows_that_lie_about_firing_are_dropped)
{
    struct pools pools = make_pools(5);
    for (size_t i = 0; i < N_POOL; i++)
        if (i % 30 == 1)
            fire_at(&pools.pool[i], 2, 9, 1.0f), pools.pool[i].kind = WINDOW_SILENT_RANDOM;
    struct window_selection chosen = choose(&pools, 1);
    cr_expect_eq(chosen.n_mislabelled, 8);
    for (size_t i = 0; i < chosen.n_windows; i++)
        cr_expect_eq(window_fires(&chosen.windows[i]), chosen.windows[i].kind == WINDOW_FIRING);
    window_selection_fini(&chosen);
}

Test(window_select, shares_documents_only_when_it_must_and_says_so)
{
    struct pools pools = make_pools(6);
    for (size_t i = 0; i < N_POOL; i++) {
        pools.pool[i].document_key = hash_mix64(i % 10);
        pools.pool[i].document_index = (uint32_t)(i % 10);
        pools.pool[i].document_offset = (uint32_t)(32 * i);
    }
    struct window_selection chosen = choose(&pools, 1);
    cr_expect_eq(chosen.n_windows, 60);
    cr_expect_eq(chosen.n_shared_documents, 50);
    window_selection_fini(&chosen);
}

Test(window_select, few_windows_are_all_taken_and_none_is_no_error)
{
    const struct pools pools = make_pools(7);
    const struct window_select_params params = window_select_params_default(1, 1);
    struct window_selection chosen;
    cr_assert_eq(window_select(pools.explain, N_EXPLAIN, pools.pool, 5, &params, &chosen, NULL),
                 ST_OK);
    cr_expect_eq(chosen.n_windows, 5);
    window_selection_fini(&chosen);
    cr_assert_eq(window_select(NULL, 0, NULL, 0, &params, &chosen, NULL), ST_OK);
    cr_expect_eq(chosen.n_windows, 0);
    window_selection_fini(&chosen);
    window_selection_fini(&chosen);
}
