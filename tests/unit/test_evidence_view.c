#include "common/evidence_pick.h"
#include "tests/unit/evidence_world.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* A corpus of one document whose activations a test writes down by hand. */
enum { N_TOKENS = 640, ROW = 64, N_ROWS = 10, N_SLOTS = 6, WINDOW = 8 };

struct hand {
    struct world world;
    uint32_t tokens[N_TOKENS];
    struct capture_segment segments[N_ROWS];
    struct world_unit unit;
    uint64_t key;
    size_t row_start[N_TOKENS + 1];
    uint32_t feature[N_TOKENS * N_SLOTS];
    float value[N_TOKENS * N_SLOTS];
    struct evidence_identity identity;
    struct evidence_frozen frozen;
    struct evidence_state *state;
};

static const float STRONG = (float)N_TOKENS / 2.0f / 64.0f;

typedef float (*value_function)(uint32_t slot, uint32_t row, uint32_t position, uint32_t token);

static void hand_init(struct hand *hand, value_function value, bool is_frozen)
{
    struct error err = {0};
    *hand = (struct hand){.key = 42};
    for (uint32_t i = 0; i < N_TOKENS; i++) hand->tokens[i] = i % ROW ? 1 + i * i % 23 : 0;
    for (uint32_t row = 0; row < N_ROWS; row++)
        hand->segments[row] = (struct capture_segment){row, 1, ROW - 1, 0, row * (ROW - 1), 42};
    size_t n = 0;
    for (uint32_t i = 0; i < N_TOKENS; i++) {
        for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
            hand->feature[n] = slot;
            hand->value[n++] = value(slot, i / ROW, i % ROW, hand->tokens[i]);
        }
        hand->row_start[i + 1] = n;
    }
    hand->unit = (struct world_unit){
        .unit = {7, EVIDENCE_EXPLAIN, N_ROWS, ROW, N_ROWS, hand->tokens, hand->segments},
        .rows = {N_TOKENS, hand->row_start, hand->feature, hand->value}};
    hand->world = (struct world){.params = {.n_units = 1, .n_slots = N_SLOTS},
                                 .documents = {&hand->key, 1},
                                 .units = &hand->unit};
    cr_assert_eq(evidence_frozen_init(&hand->frozen, N_SLOTS, &err), ST_OK);
    for (uint32_t slot = 0; slot < N_SLOTS; slot++) hand->frozen.hard_tokens[slot][0] = 5;
    hand->frozen.neighbours[2][0] = 3;
    hand->frozen.strong_value[3] = STRONG;
    hand->identity =
        (struct evidence_identity){.target_key = 1,
                                   .n_slots = N_SLOTS,
                                   .split = EVIDENCE_EXPLAIN,
                                   .frozen_key = is_frozen ? evidence_frozen_key(&hand->frozen) : 0,
                                   .limits = {.top_k = 6,
                                              .bin_k = 5,
                                              .silent_k = 4,
                                              .doc_k = 4,
                                              .near_miss_k = 3,
                                              .neighbour_k = 3,
                                              .window_tokens = WINDOW,
                                              .min_window_tokens = 1,
                                              .counts_positions = 1}};
    hand->state = world_state(&hand->world, &hand->identity);
    struct world_bytes partial =
        world_partial(&hand->world, 0, &hand->identity, is_frozen ? &hand->frozen : NULL, NULL);
    cr_assert_eq(
        evidence_state_merge_partial(hand->state, partial.bytes, partial.n_bytes, NULL, &err),
        ST_OK, "%s", err.text);
    free(partial.bytes);
}

static void hand_fini(struct hand *hand)
{
    evidence_state_destroy(&hand->state);
    evidence_frozen_fini(&hand->frozen);
}

static struct evidence_view open_view(const struct hand *hand, uint32_t slot)
{
    struct evidence_view view;
    struct error err = {0};
    cr_assert_eq(evidence_view_open(hand->state, slot, &view, &err), ST_OK, "%s", err.text);
    return view;
}

/* 0: position 3 alone; 1: token 5 alone; 2: half of the tokens 5; 3: everywhere, growing;
 * 4: never (but negative); 5: huge. */
static float six_kinds(uint32_t slot, uint32_t row, uint32_t position, uint32_t token)
{
    switch (slot) {
    case 0: return position == 3 ? 2.0f : 0;
    case 1: return token == 5 ? 1.0f : 0;
    case 2: return token == 5 && row % 2 ? 1.5f : 0;
    case 3: return position == 0 ? 0 : (float)(row * ROW + position) / 64.0f;
    case 4: return -1.0f;
    default: return position == 1 ? 3e38f : 0;
    }
}

Test(evidence_view, tells_position_features_and_token_features)
{
    struct hand hand;
    uint32_t best = 9;
    hand_init(&hand, six_kinds, true);
    struct evidence_view position = open_view(&hand, 0), token = open_view(&hand, 1),
                         half = open_view(&hand, 2), dense = open_view(&hand, 3),
                         dead = open_view(&hand, 4);
    cr_expect_float_eq(evidence_view_position_f1(&position), 1, 1e-12);
    cr_expect_lt(evidence_view_position_f1(&token), 0.7);
    cr_expect_float_eq(evidence_view_token_f1(&token, &best), 1, 1e-12);
    cr_expect_eq(best, 0);
    const double n5 = (double)half.n_hard_tokens[0], hits = (double)half.n_firing_on_hard[0];
    cr_expect_float_eq(evidence_view_token_f1(&half, NULL), 2 * hits / (n5 + hits), 1e-12);
    cr_expect_gt(n5, hits);
    cr_expect_float_eq(dense.density, 1, 1e-12);
    cr_expect_eq(dead.n_firing_tokens, 0);
    cr_expect_eq(evidence_view_position_f1(&dead), 0);
    cr_expect_eq(dead.n_silent, 4);
    hand_fini(&hand);
}

Test(evidence_view, counts_only_what_lies_in_segments_and_is_positive)
{
    struct hand hand;
    hand_init(&hand, six_kinds, false);
    const struct evidence_view dense = open_view(&hand, 3), dead = open_view(&hand, 4);
    cr_expect_eq(dense.n_tokens, N_ROWS * (ROW - 1), "beginning-of-text tokens were counted");
    cr_expect_eq(dense.n_firing_tokens, N_ROWS * (ROW - 1));
    cr_expect_eq(dense.n_documents, 1);
    cr_expect(dense.is_n_documents_exact);
    cr_expect_eq(dead.n_positive_tokens, 0);
    cr_expect_eq(dead.max_value, 0);
    struct evidence_view view;
    cr_expect_eq(evidence_view_open(hand.state, N_SLOTS, &view, NULL), ST_NOT_FOUND);
    hand_fini(&hand);
}

Test(evidence_view, says_when_a_sum_saturates)
{
    struct hand hand;
    hand_init(&hand, six_kinds, false);
    const struct evidence_view huge = open_view(&hand, 5), dense = open_view(&hand, 3);
    cr_expect(huge.is_sum_saturated);
    cr_expect_eq(huge.max_value, 3e38f);
    cr_expect_not(dense.is_sum_saturated);
    hand_fini(&hand);
}

Test(evidence_view, quantiles_and_counts_above_follow_the_histogram)
{
    struct hand hand;
    hand_init(&hand, six_kinds, false);
    const struct evidence_view dense = open_view(&hand, 3); /* values i / 64, i % 64 != 0 */
    for (uint32_t bin = 0; bin < EVIDENCE_VALUE_BINS; bin++) {
        const float edge = evidence_value_edge(bin);
        uint64_t n_above = 0;
        for (uint32_t i = 0; i < N_TOKENS; i++) n_above += i % ROW && (float)i / 64.0f > edge;
        cr_expect_eq(evidence_view_n_above(&dense, edge), n_above, "above %g", (double)edge);
    }
    cr_expect_eq(evidence_view_n_above(&dense, 0), dense.n_positive_tokens);
    const double median = (double)evidence_view_quantile(&dense, 0.5);
    cr_expect(median >= 5.0 && median <= 5.0 * 1.125, "median %g", median);
    cr_expect_geq((double)evidence_view_quantile(&dense, 1), 9.98);
    hand_fini(&hand);
}

static bool is_same(struct evidence_window a, struct evidence_window b)
{
    return a.document_index == b.document_index && a.document_offset == b.document_offset;
}

/* Everywhere but in four windows of eight tokens. */
static float nearly_everywhere(uint32_t slot, uint32_t row, uint32_t position, uint32_t token)
{
    (void)token;
    return slot > 0 || (row % 3 == 0 && position >= 9 && position < 17) ? 0 : 1.0f;
}

Test(evidence_view, finds_the_few_silent_windows_of_a_dense_slot)
{
    struct hand hand;
    hand_init(&hand, nearly_everywhere, false);
    const struct evidence_view dense = open_view(&hand, 0), dead = open_view(&hand, 1);
    cr_assert_eq(dense.n_silent, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct evidence_window window = evidence_view_silent(&dense, i);
        cr_expect_eq(window.document_offset % (ROW - 1), 8);
        cr_expect_eq(window.document_offset / (ROW - 1) % 3, 0);
    }
    cr_expect_eq(dead.n_silent, 4);
    hand_fini(&hand);
}

Test(evidence_pick, spreads_over_quantiles_and_avoids_what_was_used)
{
    struct hand hand;
    size_t first[12], again[12], second[40];
    struct evidence_window used[12];
    hand_init(&hand, six_kinds, false);
    const struct evidence_view dense = open_view(&hand, 3);
    struct evidence_pick pick = {.n = 8, .seed = 5};
    cr_assert_eq(evidence_pick_quantiles(&dense, &pick, first), 8);
    cr_assert_eq(evidence_pick_quantiles(&dense, &pick, again), 8);
    cr_expect_arr_eq(first, again, 8 * sizeof *first);
    float low = INFINITY, high = 0;
    for (size_t i = 0; i < 8; i++) {
        const struct evidence_entry entry = evidence_view_firing(&dense, first[i]);
        cr_expect(i == 0 || first[i] > first[i - 1], "not in order");
        low = fminf(low, entry.max_value);
        high = fmaxf(high, entry.max_value);
        used[i] = entry.window;
    }
    cr_expect_gt((double)high, 8.0, "the largest maxima (up to 10) are not there: %g",
                 (double)high);
    cr_expect_lt((double)low, 2.0, "the smallest maxima are not there: %g", (double)low);
    pick.excluded = used;
    pick.n_excluded = 8;
    pick.n = 40;
    const size_t n = evidence_pick_quantiles(&dense, &pick, second);
    cr_expect_eq(n, dense.n_firing - 8, "all %zu others were wanted, %zu came", dense.n_firing - 8,
                 n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 8; j++)
            cr_assert_not(is_same(evidence_view_firing(&dense, second[i]).window, used[j]));
    hand_fini(&hand);
}

Test(evidence_pick, another_seed_chooses_otherwise)
{
    struct hand hand;
    size_t a[6], b[6], n_equal = 0;
    hand_init(&hand, six_kinds, false);
    const struct evidence_view dense = open_view(&hand, 3);
    struct evidence_pick pick = {.n = 6, .seed = 1};
    cr_assert_eq(evidence_pick_quantiles(&dense, &pick, a), 6);
    pick.seed = 2;
    cr_assert_eq(evidence_pick_quantiles(&dense, &pick, b), 6);
    for (size_t i = 0; i < 6; i++) n_equal += a[i] == b[i];
    cr_expect_lt(n_equal, 6);
    hand_fini(&hand);
}

Test(evidence_pick, top_and_silent_leave_the_excluded_out)
{
    struct hand hand;
    size_t top[6];
    struct evidence_window silent[4];
    hand_init(&hand, six_kinds, false);
    const struct evidence_view dense = open_view(&hand, 3), position = open_view(&hand, 0);
    const struct evidence_window best = evidence_view_firing(&dense, 0).window;
    const struct evidence_window skipped = evidence_view_silent(&position, 1);
    struct evidence_pick pick = {.n = 3, .excluded = &best, .n_excluded = 1};
    cr_assert_eq(evidence_pick_top(&dense, &pick, top), 3);
    cr_expect_eq(top[0], 1);
    cr_expect_eq(top[2], 3);
    pick.excluded = &skipped;
    cr_assert_eq(evidence_pick_silent(&position, &pick, silent), 3);
    for (size_t i = 0; i < 3; i++) cr_expect_not(is_same(silent[i], skipped));
    cr_expect(is_same(silent[0], evidence_view_silent(&position, 0)));
    hand_fini(&hand);
}

/* A dense unit in explain: no threshold was known, so nothing was silent; given one afterwards,
 * windows below it serve as silent and are never picked as firing. */
Test(evidence_pick, a_late_threshold_divides_firing_from_silent)
{
    struct hand hand;
    size_t firing[6];
    struct evidence_window silent[3];
    hand_init(&hand, six_kinds, false);
    const struct evidence_view dense = open_view(&hand, 3);
    const struct evidence_pick pick = {.n = 6, .seed = 3, .fire_threshold = 5};
    const struct evidence_pick quiet = {.n = 3, .fire_threshold = 5};
    cr_expect_eq(dense.n_silent, 0);
    const size_t n = evidence_pick_quantiles(&dense, &pick, firing);
    cr_assert_gt(n, 3);
    for (size_t i = 0; i < n; i++)
        cr_expect_gt(evidence_view_firing(&dense, firing[i]).max_value, 5.0f);
    cr_assert_eq(evidence_pick_silent(&dense, &quiet, silent), 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < dense.n_firing; j++) {
            const struct evidence_entry entry = evidence_view_firing(&dense, j);
            if (is_same(entry.window, silent[i])) cr_expect_leq(entry.max_value, 5.0f);
        }
    hand_fini(&hand);
}

Test(evidence_pick, near_misses_hold_the_hard_token_and_do_not_fire)
{
    struct hand hand;
    struct evidence_window near[3];
    hand_init(&hand, six_kinds, true);
    const struct evidence_view half = open_view(&hand, 2); /* fires on token 5 in odd rows only */
    const struct evidence_pick pick = {.n = 3};
    cr_assert_eq(evidence_pick_near_miss(&half, &pick, near), 3);
    for (size_t i = 0; i < 3; i++) {
        const uint32_t row = near[i].document_offset / (ROW - 1);
        const uint32_t start = row * ROW + 1 + near[i].document_offset % (ROW - 1);
        bool has_token = false;
        for (uint32_t j = 0; j < near[i].n_tokens; j++) has_token |= hand.tokens[start + j] == 5;
        cr_expect(has_token, "near miss %zu lacks the hard token", i);
        cr_expect_eq(row % 2, 0, "near miss %zu fires", i);
    }
    hand_fini(&hand);
}

Test(evidence_pick, in_windows_of_neighbours_one_fires_strongly_and_the_slot_does_not)
{
    struct hand hand;
    struct evidence_window chosen[3];
    hand_init(&hand, six_kinds, true);
    const struct evidence_view half = open_view(&hand, 2), dense = open_view(&hand, 3);
    struct evidence_pick pick = {.n = 3};
    cr_assert_eq(evidence_pick_neighbour(&half, &pick, chosen), 3);
    for (size_t i = 0; i < 3; i++) {
        const uint32_t row = chosen[i].document_offset / (ROW - 1);
        const uint32_t last = 1 + chosen[i].document_offset % (ROW - 1) + chosen[i].n_tokens - 1u;
        bool fires = false;
        for (uint32_t j = 0; j < chosen[i].n_tokens; j++)
            fires |= six_kinds(2, row, last - j, hand.tokens[row * ROW + last - j]) > 0;
        cr_expect_not(fires, "window %zu", i);
        cr_expect_gt(six_kinds(3, row, last, 0), STRONG, "window %zu", i);
    }
    pick.excluded = chosen;
    pick.n_excluded = 2;
    cr_expect_eq(evidence_pick_neighbour(&half, &pick, chosen + 1), 1, "those that are left");
    cr_expect_eq(evidence_pick_neighbour(&dense, &pick, chosen), 0, "it has no neighbours");
    hand_fini(&hand);
}
