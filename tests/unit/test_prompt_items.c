#include "coordinator/session/prompt_items.h"
#include "tests/support/session_windows.h"

#include <math.h>

enum { N_EACH = 20, N_TOKENS = 32, STRONG = 7 };

/* 20 firing windows with runs of 1 to 3 strong tokens (the first of type STRONG), 20 random, 20
 * hard that hold STRONG. */
static size_t make_windows(uint64_t seed, struct window *out)
{
    struct draw draw = {seed};
    for (uint32_t i = 0; i < 3 * N_EACH; i++) {
        struct window *window = &out[i];
        *window = drawn_window(&draw, N_TOKENS, 900, i);
        const size_t at = draw_below(&draw, N_TOKENS - 4);
        window->kind = (enum window_kind)(i / N_EACH);
        if (window->kind == WINDOW_SILENT_RANDOM) continue;
        const enum window_kind kind = window->kind;
        fire_at(window, at, STRONG, kind == WINDOW_FIRING ? 5.0f : 0.0f);
        for (size_t k = 1; kind == WINDOW_FIRING && k < 1 + draw_below(&draw, 3); k++)
            fire_at(window, at + k, 100 + (uint32_t)k, 4.0f);
        window->kind = kind;
    }
    return 3 * N_EACH;
}

static struct prompt_items fuzz(const struct window *windows, size_t n, uint64_t feature)
{
    const struct prompt_fuzz_params params = {.seed = 5, .feature = feature, .n_wrong = 10};
    struct prompt_items items;
    cr_assert_eq(prompt_items_fuzzing(windows, n, &params, &items, NULL), ST_OK);
    return items;
}

static size_t n_marked(const struct prompt_item *item)
{
    size_t n = 0;
    for (size_t i = 0; i < item->window->n_tokens; i++) n += item->marks[i];
    return n;
}

Test(prompt_items, fuzzing_marks_strong_tokens_and_wrong_ones_where_it_is_silent)
{
    struct window windows[3 * N_EACH];
    struct prompt_items items = fuzz(windows, make_windows(1, windows), 1);
    size_t n_wrong = 0;
    cr_assert_eq(items.n_items, 70);
    for (size_t i = 0; i < items.n_items; i++) {
        const struct prompt_item *item = &items.items[i];
        cr_expect_gt(n_marked(item), 0);
        const bool is_wrong =
            item->window->kind == WINDOW_FIRING && item->truth == WINDOW_SILENT_HARD;
        n_wrong += is_wrong;
        for (size_t t = 0; t < N_TOKENS; t++) {
            const float value = window_activation(item->window, t);
            if (item->truth == WINDOW_FIRING) cr_expect_eq(item->marks[t], value >= 1.5f);
            if (is_wrong) cr_expect(!item->marks[t] || value <= 0.0f);
        }
        if (!is_wrong) cr_expect_eq(item->truth, item->window->kind);
    }
    cr_expect_eq(n_wrong, 10);
    prompt_items_fini(&items);
    prompt_items_fini(&items);
}

/* D3: Delphi highlights the same place in all negatives of a feature. */
Test(prompt_items, highlights_of_negatives_differ_in_place_and_copy_number_and_runs)
{
    size_t at[N_TOKENS] = {0}, n_random = 0;
    double sum_positive = 0.0, sum_negative = 0.0;
    for (uint64_t feature = 0; feature < 50; feature++) {
        struct window windows[3 * N_EACH];
        struct prompt_items items = fuzz(windows, make_windows(feature, windows), feature);
        for (size_t i = 0; i < items.n_items; i++) {
            const struct prompt_item *item = &items.items[i];
            if (item->truth == WINDOW_FIRING) sum_positive += (double)n_marked(item) / N_EACH;
            if (item->truth != WINDOW_SILENT_RANDOM) continue;
            n_random++;
            sum_negative += (double)n_marked(item) / N_EACH;
            for (size_t t = 0; t < N_TOKENS; t++)
                at[t] += item->marks[t] && (t == 0 || !item->marks[t - 1]);
        }
        prompt_items_fini(&items);
    }
    cr_expect_float_eq(sum_negative / 50, sum_positive / 50, 0.1, "tokens: %g and %g",
                       sum_negative / 50, sum_positive / 50);
    const double expected = (double)n_random / N_TOKENS;
    for (size_t t = 0; t < N_TOKENS - 3; t++)
        cr_expect(fabs((double)at[t] - expected) < 5 * sqrt(expected), "place %zu: %zu, about %g",
                  t, at[t], expected);
}

Test(prompt_items, hard_negatives_highlight_the_token_that_fires_elsewhere)
{
    struct window windows[3 * N_EACH];
    struct prompt_items items = fuzz(windows, make_windows(3, windows), 3);
    size_t n_hard = 0, n_on_type = 0;
    for (size_t i = 0; i < items.n_items; i++) {
        const struct prompt_item *item = &items.items[i];
        if (item->window->kind != WINDOW_SILENT_HARD) continue;
        n_hard++;
        for (size_t t = 0; t < N_TOKENS; t++)
            n_on_type += item->marks[t] && item->window->tokens[t] == STRONG;
    }
    cr_expect_eq(n_hard, 20);
    cr_expect_geq(n_on_type, 20);
    prompt_items_fini(&items);
}

Test(prompt_items, fuzzing_is_the_same_each_time_and_needs_a_firing_window)
{
    struct window windows[3 * N_EACH];
    const size_t n = make_windows(4, windows);
    struct prompt_items a = fuzz(windows, n, 4), b = fuzz(windows, n, 4), c = fuzz(windows, n, 5);
    size_t n_different = 0;
    for (size_t i = 0; i < a.n_items; i++) {
        cr_assert_arr_eq(a.items[i].marks, b.items[i].marks, N_TOKENS);
        n_different += memcmp(a.items[i].marks, c.items[i].marks, N_TOKENS) != 0;
    }
    cr_expect_gt(n_different, 20, "another feature, other places");
    const struct prompt_fuzz_params params = {1, 1, 10};
    struct prompt_items none;
    cr_expect_eq(prompt_items_fuzzing(windows + N_EACH, 10, &params, &none, NULL), ST_BAD_INPUT);
    prompt_items_fini(&a);
    prompt_items_fini(&b);
    prompt_items_fini(&c);
}

Test(prompt_items, window_that_fires_everywhere_gets_no_wrong_item)
{
    struct draw draw = {8};
    struct window windows[2] = {drawn_window(&draw, 4, 9, 0), drawn_window(&draw, 4, 9, 1)};
    for (size_t t = 0; t < 4; t++) fire_at(&windows[0], t, 3, 1.0f);
    struct prompt_items items = fuzz(windows, 2, 1);
    cr_assert_eq(items.n_items, 2);
    cr_expect_eq(n_marked(&items.items[1]), 4, "the silent window takes the whole run");
    prompt_items_fini(&items);
}

static struct prompt_plan plan_of(const struct prompt_items *items, size_t per_prompt,
                                  uint64_t feature)
{
    struct prompt_plan plan;
    cr_assert_eq(
        prompt_plan_init(&plan, items, per_prompt, draw_stream(5, DRAW_FUZZ, feature), NULL),
        ST_OK);
    return plan;
}

Test(prompt_plan, deals_every_item_once_to_prompts_of_nearly_equal_size)
{
    struct window windows[3 * N_EACH];
    make_windows(6, windows);
    for (size_t n = 1; n < 3 * N_EACH; n += 7) {
        struct prompt_items items;
        cr_assert_eq(prompt_items_detection(windows, n, &items, NULL), ST_OK);
        struct prompt_plan plan = plan_of(&items, 10, 6);
        bool seen[3 * N_EACH] = {false};
        size_t n_smallest = n, n_largest = 0, n_sum = 0;
        for (size_t p = 0; p < plan.n_prompts; p++) {
            size_t n_in;
            const size_t first = prompt_plan_range(&plan, p, &n_in);
            cr_assert_eq(first, n_sum);
            n_sum += n_in;
            if (n_in < n_smallest) n_smallest = n_in;
            if (n_in > n_largest) n_largest = n_in;
            for (size_t i = first; i < first + n_in; i++) {
                cr_assert(!seen[plan.order[i]]);
                seen[plan.order[i]] = true;
            }
        }
        cr_expect_eq(n_sum, n);
        cr_expect(n_largest <= 10 && n_largest - n_smallest <= 1);
        prompt_plan_fini(&plan);
        prompt_items_fini(&items);
    }
}

Test(prompt_plan, one_window_is_never_twice_in_a_prompt)
{
    for (uint64_t feature = 0; feature < 100; feature++) {
        struct window windows[3 * N_EACH];
        struct prompt_items items = fuzz(windows, make_windows(feature, windows), feature);
        struct prompt_plan plan = plan_of(&items, 10, feature);
        for (size_t p = 0; p < plan.n_prompts; p++) {
            size_t n;
            const size_t first = prompt_plan_range(&plan, p, &n);
            for (size_t i = first; i < first + n; i++)
                for (size_t j = first; j < i; j++)
                    cr_assert_neq(items.items[plan.order[i]].window,
                                  items.items[plan.order[j]].window, "feature %llu",
                                  (unsigned long long)feature);
        }
        prompt_plan_fini(&plan);
        prompt_items_fini(&items);
    }
}

Test(prompt_plan, number_of_positives_in_a_prompt_varies)
{
    struct window windows[3 * N_EACH];
    const size_t n_windows = make_windows(9, windows);
    size_t n_with[11] = {0};
    struct prompt_items items;
    cr_assert_eq(prompt_items_detection(windows, n_windows, &items, NULL), ST_OK);
    for (uint64_t feature = 0; feature < 100; feature++) {
        struct prompt_plan plan = plan_of(&items, 10, feature);
        for (size_t p = 0; p < plan.n_prompts; p++) {
            size_t n, n_firing = 0;
            const size_t first = prompt_plan_range(&plan, p, &n);
            for (size_t i = first; i < first + n; i++)
                n_firing += items.items[plan.order[i]].truth == WINDOW_FIRING;
            n_with[n_firing]++;
        }
        prompt_plan_fini(&plan);
    }
    for (size_t k = 1; k <= 6; k++) cr_expect_gt(n_with[k], 10, "%zu positives", k);
    prompt_items_fini(&items);
}

/* D5: a reply that fails costs the windows of its own prompt and no others. */
Test(prompt_plan, failed_reply_is_wrong_for_its_own_windows_only)
{
    struct window windows[3 * N_EACH];
    const size_t n_windows = make_windows(10, windows);
    struct prompt_items items;
    cr_assert_eq(prompt_items_detection(windows, n_windows, &items, NULL), ST_OK);
    struct prompt_plan plan = plan_of(&items, 10, 1);
    struct judgement judgements[3 * N_EACH];
    for (size_t p = 0; p < plan.n_prompts; p++) {
        enum judge_answer answers[10];
        size_t n;
        const size_t first = prompt_plan_range(&plan, p, &n);
        for (size_t i = 0; i < n; i++)
            answers[i] =
                windows[plan.order[first + i]].kind == WINDOW_FIRING ? ANSWER_FIRES : ANSWER_SILENT;
        prompt_plan_judge(&plan, &items, p, p == 2 ? NULL : answers, judgements);
    }
    const struct confusion random = score_count(judgements, n_windows, NEGATIVES_RANDOM);
    const struct confusion hard = score_count(judgements, n_windows, NEGATIVES_HARD);
    cr_expect_eq(random.n_failed_firing + random.n_failed_silent + hard.n_failed_silent, 10);
    cr_expect_eq(random.n_missed, random.n_failed_firing);
    cr_expect_eq(random.n_false_alarm, random.n_failed_silent);
    for (size_t i = 0; i < n_windows; i++)
        cr_expect_eq(judgements[i].document_key, windows[i].document_key);
    prompt_plan_fini(&plan);
    prompt_items_fini(&items);
}

Test(prompt_plan, refuses_prompts_of_no_window_and_allows_no_item)
{
    struct prompt_items none = {0};
    struct prompt_plan plan;
    cr_expect_eq(prompt_plan_init(&plan, &none, 0, (struct draw){1}, NULL), ST_BAD_INPUT);
    cr_assert_eq(prompt_plan_init(&plan, &none, 5, (struct draw){1}, NULL), ST_OK);
    cr_expect_eq(plan.n_prompts, 0);
    prompt_plan_fini(&plan);
}
