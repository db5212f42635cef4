/* Proposals as an order, and how good they were. */
#include "coordinator/circuit/proposal_score.h"
#include "tests/support/session_windows.h"

enum { N = 8 };

static struct component head(uint32_t index)
{
    return (struct component){.type = COMPONENT_HEAD, .index = index};
}

static struct proposal_order order_of(const uint32_t *named, size_t n_named, uint32_t order[N])
{
    struct component candidates[N], proposed[16];
    struct proposal_order out = {.order = order};
    for (uint32_t i = 0; i < N; i++) candidates[i] = head(i);
    for (size_t i = 0; i < n_named; i++) proposed[i] = head(named[i]);
    const struct proposal_ranking ranking = {proposed, n_named, candidates, N};
    cr_assert_eq(proposal_order(&ranking, &out, NULL), ST_OK);
    return out;
}

Test(proposal_score, proposals_come_first_and_once)
{
    static const uint32_t named[] = {5, 99, 2, 5}, want[N] = {5, 2, 0, 1, 3, 4, 6, 7};
    uint32_t order[N];
    const struct proposal_order out = order_of(named, 4, order);
    cr_expect_arr_eq(order, want, sizeof want);
    cr_expect_eq(out.n_named, 2);
    cr_expect_eq(out.n_unknown, 1);
}

/* Every pair of a found and another candidate, counted one by one. */
static double plain_auroc(const uint32_t *order, size_t n_named, const bool *is_found)
{
    double right = 0.0, n = 0.0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            const size_t a = i < n_named ? i : N, b = j < n_named ? j : N;
            if (!is_found[order[i]] || is_found[order[j]]) continue;
            right += a < b ? 1.0 : (a > b ? 0.0 : 0.5);
            n += 1.0;
        }
    return right / n;
}

Test(proposal_score, is_that_of_counting_pairs)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct draw draw = draw_stream(seed, DRAW_CIRCUIT, 5);
        uint32_t order[N] = {0, 1, 2, 3, 4, 5, 6, 7};
        bool is_found[N] = {false};
        struct proposal_score score;
        const size_t n_named = draw_below(&draw, N + 1);
        draw_shuffle(&draw, order, N);
        is_found[draw_below(&draw, N)] = true;
        is_found[draw_below(&draw, N)] = true;
        cr_assert_eq(proposal_score(&(struct proposal_order_view){order, n_named, N}, is_found,
                                    &score, NULL),
                     ST_OK);
        cr_expect_float_eq(score.auroc.value, plain_auroc(order, n_named, is_found), 1e-12);
    }
}

Test(proposal_score, counts_what_was_right)
{
    static const uint32_t order[N] = {3, 0, 6, 1, 2, 4, 5, 7};
    const bool is_found[N] = {[3] = true, [6] = true, [7] = true};
    struct proposal_score score;
    cr_assert_eq(proposal_score(&(struct proposal_order_view){order, 4, N}, is_found, &score, NULL),
                 ST_OK);
    cr_expect_eq(score.n_right, 2);
    cr_expect_float_eq(score.precision.value, 0.5, 1e-12);
    cr_expect_float_eq(score.recall.value, 2.0 / 3.0, 1e-12);
    cr_expect_float_eq(score.precision_first.value, 2.0 / 3.0, 1e-12);
}

Test(proposal_score, is_undefined_without_proposals_or_a_circuit)
{
    static const uint32_t order[N] = {0, 1, 2, 3, 4, 5, 6, 7};
    const bool none[N] = {false}, one[N] = {true};
    struct proposal_score score;
    cr_assert_eq(proposal_score(&(struct proposal_order_view){order, 0, N}, one, &score, NULL),
                 ST_OK);
    cr_expect(!score.precision.is_defined && score.recall.is_defined);
    cr_expect_float_eq(score.auroc.value, 0.5, 1e-12);
    cr_assert_eq(proposal_score(&(struct proposal_order_view){order, 3, N}, none, &score, NULL),
                 ST_OK);
    cr_expect(!score.recall.is_defined && !score.auroc.is_defined && score.precision.is_defined);
}

Test(proposal_score, an_order_that_is_none_is_refused)
{
    static const uint32_t twice[N] = {0, 1, 2, 3, 4, 5, 6, 6};
    const bool found[N] = {true};
    struct proposal_score score;
    cr_expect_eq(proposal_score(&(struct proposal_order_view){twice, 2, N}, found, &score, NULL),
                 ST_BAD_INPUT);
    cr_expect_eq(proposal_score(&(struct proposal_order_view){twice, 9, N}, found, &score, NULL),
                 ST_BAD_INPUT);
}
