#include "coordinator/session/window_overlap.h"
#include "tests/support/session_windows.h"

/* Jaccard of the sets of 8-grams, by comparing every gram with every other. */
static bool same_gram(const struct window *a, size_t i, const struct window *b, size_t j)
{
    const size_t n_a = a->n_tokens < 8 ? a->n_tokens : 8, n_b = b->n_tokens < 8 ? b->n_tokens : 8;
    return n_a == n_b && memcmp(a->tokens + i, b->tokens + j, n_a * sizeof *a->tokens) == 0;
}

static size_t n_grams(const struct window *window)
{
    return window->n_tokens < 8 ? 1 : window->n_tokens - 7;
}

static size_t n_distinct(const struct window *window)
{
    size_t n = 0;
    for (size_t i = 0; i < n_grams(window); i++) {
        bool is_new = true;
        for (size_t j = 0; j < i; j++) is_new &= !same_gram(window, i, window, j);
        n += is_new;
    }
    return n;
}

static double brute_force(const struct window *a, const struct window *b)
{
    size_t n_common = 0;
    for (size_t i = 0; i < n_grams(a); i++) {
        bool is_new = true, is_common = false;
        for (size_t j = 0; j < i; j++) is_new &= !same_gram(a, i, a, j);
        for (size_t j = 0; j < n_grams(b); j++) is_common |= same_gram(a, i, b, j);
        n_common += is_new && is_common;
    }
    return (double)n_common / (double)(n_distinct(a) + n_distinct(b) - n_common);
}

Test(window_overlap, equals_brute_force_on_windows_that_share_pieces)
{
    struct draw draw = {11};
    size_t n_positive = 0;
    for (int round = 0; round < 200; round++) {
        struct window explain[6];
        for (uint32_t i = 0; i < 6; i++)
            explain[i] = drawn_window(&draw, 1 + draw_below(&draw, 40), 3, i);
        struct window asked = drawn_window(&draw, 1 + draw_below(&draw, 40), 3, 9);
        const struct window *from = &explain[draw_below(&draw, 6)];
        const size_t n_copied = from->n_tokens < asked.n_tokens ? from->n_tokens : asked.n_tokens;
        uint32_t *tokens = keep_alloc(asked.n_tokens, sizeof *tokens);
        memcpy(tokens, asked.tokens, asked.n_tokens * sizeof *tokens);
        memcpy(tokens, from->tokens, (n_copied - draw_below(&draw, (uint32_t)n_copied)) * 4);
        asked.tokens = tokens;
        double want = 0.0, got = -1.0;
        for (size_t i = 0; i < 6; i++) {
            const double one = brute_force(&explain[i], &asked);
            if (one > want) want = one;
        }
        struct window_overlap *overlap;
        cr_assert_eq(window_overlap_create(&overlap, explain, 6, NULL), ST_OK);
        for (int twice = 0; twice < 2; twice++) {
            cr_assert_eq(window_overlap_largest(overlap, &asked, &got, NULL), ST_OK);
            cr_assert_float_eq(got, want, 1e-12, "round %d: %g, want %g", round, got, want);
        }
        n_positive += want > 0;
        window_overlap_destroy(&overlap);
    }
    cr_expect_gt(n_positive, 50, "the test must see overlaps");
}

Test(window_overlap, one_changed_token_in_the_middle_is_not_near_and_at_the_end_is)
{
    struct draw draw = {12};
    const struct window explain = drawn_window(&draw, 64, 1000, 0);
    struct window_overlap *overlap;
    cr_assert_eq(window_overlap_create(&overlap, &explain, 1, NULL), ST_OK);
    for (size_t place = 0; place < 2; place++) {
        uint32_t tokens[64];
        memcpy(tokens, explain.tokens, sizeof tokens);
        tokens[place ? 63 : 32] = 5000;
        const struct window asked = {.tokens = tokens, .n_tokens = 64};
        double jaccard;
        cr_assert_eq(window_overlap_largest(overlap, &asked, &jaccard, NULL), ST_OK);
        cr_expect_eq(jaccard >= WINDOW_NEAR_DUPLICATE_JACCARD, place == 1, "%g", jaccard);
    }
    window_overlap_destroy(&overlap);
    cr_expect_null(overlap);
}

Test(window_overlap, nothing_remembered_is_near_nothing)
{
    struct draw draw = {13};
    const struct window asked = drawn_window(&draw, 20, 5, 0);
    struct window_overlap *overlap;
    double jaccard = 1.0;
    cr_assert_eq(window_overlap_create(&overlap, NULL, 0, NULL), ST_OK);
    cr_assert_eq(window_overlap_largest(overlap, &asked, &jaccard, NULL), ST_OK);
    cr_expect_eq(jaccard, 0.0);
    window_overlap_destroy(&overlap);
}
