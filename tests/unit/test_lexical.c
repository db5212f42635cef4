/* Planted concepts must be found, by name and on windows that were not fitted; and a pattern's
 * bits (how it was chosen) must agree with its predictions (how it is scored). */
#include "coordinator/session/lexical.h"
#include "tests/support/session_windows.h"

enum { N_FIRING = 40, N_SILENT = 40, N_HARD = 20, N_TOKENS = 24 };
enum { N_ALL = N_FIRING + N_SILENT + N_HARD };

/* Words 0..9 are special, 10 onwards are filler. */
static const char *const SPECIAL[] = {" cat",  " Cat",   " dog",  " New", " York",
                                      " undo", " untie", "unfit", " 42",  "\n"};
enum { CAT, CAPITAL_CAT, DOG, NEW, YORK, UNDO, UNTIE, UNFIT, FORTY_TWO, BREAK, FILLER };
enum { N_WORDS = 400 };

struct bench {
    struct lexical_vocabulary *vocabulary;
    struct lexical_workspace *workspace;
    struct window windows[N_ALL];
    struct draw draw;
};

static struct bench make_bench(uint64_t seed)
{
    static char filler[N_WORDS][8];
    const char *words[N_WORDS];
    struct bench bench = {.draw = {seed}};
    for (uint32_t i = 0; i < N_WORDS; i++) {
        const uint32_t n = i * 7919 % 17576; /* three letters, spread */
        (void)snprintf(filler[i], sizeof filler[i], " %c%c%c", 'a' + (char)(n % 26),
                       'a' + (char)(n / 26 % 26), 'a' + (char)(n / 676));
        words[i] = i < FILLER ? SPECIAL[i] : filler[i];
    }
    struct token_texts *texts = keep_alloc(1, sizeof *texts);
    *texts = texts_of(words, N_WORDS);
    cr_assert_eq(lexical_vocabulary_create(&bench.vocabulary, texts, NULL), ST_OK);
    cr_assert_eq(lexical_workspace_create(&bench.workspace, bench.vocabulary, NULL), ST_OK);
    for (uint32_t i = 0; i < N_ALL; i++) {
        bench.windows[i] = drawn_window(&bench.draw, N_TOKENS, N_WORDS - FILLER, i);
        uint32_t *tokens = keep_alloc(N_TOKENS, sizeof *tokens);
        for (size_t t = 0; t < N_TOKENS; t++) tokens[t] = FILLER + bench.windows[i].tokens[t];
        bench.windows[i].tokens = tokens;
        if (i >= N_FIRING + N_SILENT) bench.windows[i].kind = WINDOW_SILENT_HARD;
    }
    return bench;
}

static void end_bench(struct bench *bench)
{
    lexical_workspace_destroy(&bench->workspace);
    lexical_vocabulary_destroy(&bench->vocabulary);
}

static uint32_t filler(struct bench *bench)
{
    return FILLER + draw_below(&bench->draw, N_WORDS - FILLER);
}

/* Put `token` somewhere inside the window, silently; returns where. */
static size_t place(struct bench *bench, struct window *window, uint32_t token)
{
    const size_t at = 1 + draw_below(&bench->draw, N_TOKENS - 4);
    const enum window_kind kind = window->kind;
    fire_at(window, at, token, 0.0f);
    window->kind = kind;
    return at;
}

static struct lexical_label explain(struct bench *bench, size_t n_windows)
{
    struct lexical_label label;
    struct error err = {0};
    cr_assert_eq(lexical_explain(bench->workspace, bench->windows, n_windows, &label, &err), ST_OK,
                 "%s", err.text);
    return label;
}

/* Balanced accuracy of the predictor over the bench, as the fit defines it. */
static double predicted_accuracy(const struct bench *bench, const struct lexical_label *label)
{
    double n_right[WINDOW_N_KINDS] = {0}, n_all[WINDOW_N_KINDS] = {0};
    for (size_t i = 0; i < N_ALL; i++) {
        const struct window *window = &bench->windows[i];
        const bool fires = lexical_pattern_predict(&label->pattern, bench->vocabulary, window);
        n_right[window->kind] += fires == (window->kind == WINDOW_FIRING);
        n_all[window->kind] += 1.0;
    }
    return (n_right[0] / n_all[0] + (n_right[1] / n_all[1] + n_right[2] / n_all[2]) / 2) / 2;
}

Test(lexical, finds_a_single_token)
{
    struct bench bench = make_bench(1);
    for (size_t i = 0; i < N_FIRING; i++)
        fire_at(&bench.windows[i], place(&bench, &bench.windows[i], CAT), CAT, 2.0f);
    const struct lexical_label label = explain(&bench, N_ALL);
    cr_expect_str_eq(label.text, "the token \" cat\"");
    cr_expect_float_eq(label.held_out.value, 1.0, 1e-12);
    cr_expect_float_eq(predicted_accuracy(&bench, &label), 1.0, 1e-12);
    end_bench(&bench);
}

Test(lexical, finds_a_union_of_tokens_and_their_spelling)
{
    struct bench bench = make_bench(2);
    static const uint32_t tokens[] = {CAT, CAPITAL_CAT, DOG};
    for (size_t i = 0; i < N_FIRING; i++)
        fire_at(&bench.windows[i], place(&bench, &bench.windows[i], CAT), tokens[i % 3], 2.0f);
    const struct lexical_label label = explain(&bench, N_ALL);
    cr_expect_str_eq(label.text, "any of the words \"cat\", \"dog\" (any case or spacing)");
    cr_expect_float_eq(label.held_out.value, 1.0, 1e-12);
    end_bench(&bench);
}

Test(lexical, finds_what_stands_before)
{
    struct bench bench = make_bench(3);
    for (size_t i = 0; i < N_FIRING; i++) {
        const size_t at = place(&bench, &bench.windows[i], NEW);
        fire_at(&bench.windows[i], at + 1, filler(&bench), 1.0f);
    }
    const struct lexical_label label = explain(&bench, N_ALL);
    cr_expect_str_eq(label.text, "the token right after the word \"new\" (any case or spacing)");
    cr_expect_float_eq(label.held_out.value, 1.0, 1e-12);
    end_bench(&bench);
}

Test(lexical, hard_negatives_turn_a_token_into_a_sequence)
{
    struct bench bench = make_bench(4);
    for (size_t i = 0; i < N_FIRING; i++) {
        const size_t at = place(&bench, &bench.windows[i], NEW);
        fire_at(&bench.windows[i], at + 1, YORK, 1.0f);
    }
    for (size_t i = N_FIRING + N_SILENT; i < N_ALL; i++)
        (void)place(&bench, &bench.windows[i], i % 2 ? YORK : NEW);
    const struct lexical_label label = explain(&bench, N_ALL);
    cr_expect_str_eq(label.text,
                     "the last token of the sequence \"new\" + \"york\" (any case or spacing)");
    end_bench(&bench);
}

Test(lexical, finds_a_prefix_over_many_tokens)
{
    struct bench bench = make_bench(5);
    static const uint32_t tokens[] = {UNDO, UNTIE, UNFIT};
    for (size_t i = 0; i < N_FIRING; i++) {
        const size_t at = place(&bench, &bench.windows[i], CAT);
        fire_at(&bench.windows[i], at, tokens[i % 3], 2.0f);
    }
    /* half of the silent windows hold other words of the same kind */
    const struct lexical_label label = explain(&bench, N_ALL);
    cr_expect(strstr(label.text, "starting with \"un\"") || label.pattern.n_terms == 3, "%s",
              label.text);
    cr_expect_float_eq(label.held_out.value, 1.0, 0.05);
    end_bench(&bench);
}

Test(lexical, finds_a_class_and_a_position)
{
    struct bench bench = make_bench(6);
    for (size_t i = 0; i < N_FIRING; i++) {
        const size_t at = place(&bench, &bench.windows[i], BREAK);
        fire_at(&bench.windows[i], at + 1, filler(&bench), 1.0f);
    }
    struct lexical_label label = explain(&bench, N_ALL);
    cr_expect_str_eq(label.text, "the token right after a line break");
    end_bench(&bench);

    bench = make_bench(7);
    for (size_t i = 0; i < N_FIRING; i++) {
        bench.windows[i].document_offset = 0;
        fire_at(&bench.windows[i], 0, filler(&bench), 1.0f);
    }
    label = explain(&bench, N_ALL);
    cr_expect_str_eq(label.text, "the first token of a document");
    end_bench(&bench);
}

Test(lexical, bits_of_the_fit_agree_with_predictions)
{
    for (uint64_t seed = 100; seed < 130; seed++) { /* random firing: every family gets chosen */
        struct bench bench = make_bench(seed);
        for (size_t i = 0; i < N_FIRING; i++) {
            bench.windows[i].document_offset = draw_below(&bench.draw, 100);
            for (size_t n = 1 + draw_below(&bench.draw, 4); n > 0; n--) {
                const uint32_t token = draw_below(&bench.draw, 30);
                fire_at(&bench.windows[i], draw_below(&bench.draw, N_TOKENS), token, 1.0f);
            }
        }
        const struct lexical_label label = explain(&bench, N_ALL);
        cr_assert_float_eq(predicted_accuracy(&bench, &label), label.fitted.value, 1e-9,
                           "seed %llu: %s", (unsigned long long)seed, label.text);
        end_bench(&bench);
    }
}

Test(lexical, noise_is_not_explained)
{
    double sum = 0.0;
    for (uint64_t seed = 200; seed < 220; seed++) {
        struct bench bench = make_bench(seed);
        for (size_t i = 0; i < N_FIRING; i++)
            fire_at(&bench.windows[i], 1 + draw_below(&bench.draw, N_TOKENS - 1), filler(&bench),
                    1.0f);
        sum += explain(&bench, N_ALL).held_out.value;
        end_bench(&bench);
    }
    cr_expect_lt(sum / 20, 0.62, "mean held-out %g", sum / 20);
}

Test(lexical, does_not_depend_on_the_order_of_windows)
{
    struct bench bench = make_bench(8);
    for (size_t i = 0; i < N_FIRING; i++)
        fire_at(&bench.windows[i], 3 + i % 5, draw_below(&bench.draw, 60), 1.0f);
    const struct lexical_label first = explain(&bench, N_ALL);
    for (int round = 0; round < 20; round++) {
        for (size_t i = N_ALL; i > 1; i--) {
            const size_t j = draw_below(&bench.draw, (uint32_t)i);
            const struct window swapped = bench.windows[i - 1];
            bench.windows[i - 1] = bench.windows[j];
            bench.windows[j] = swapped;
        }
        const struct lexical_label again = explain(&bench, N_ALL);
        cr_assert_str_eq(again.text, first.text);
        cr_assert_eq(again.held_out.value, first.held_out.value);
        cr_assert_eq(again.pattern.mark_threshold, first.pattern.mark_threshold);
    }
    end_bench(&bench);
}

Test(lexical, marks_on_the_wrong_tokens_are_told_apart)
{
    struct bench bench = make_bench(9);
    for (size_t i = 0; i < N_FIRING; i++)
        fire_at(&bench.windows[i], place(&bench, &bench.windows[i], CAT), CAT, 2.0f);
    const struct lexical_label label = explain(&bench, N_ALL);
    for (size_t i = 0; i < N_FIRING; i++) {
        bool right[N_TOKENS], wrong[N_TOKENS];
        (void)window_mark_strong(&bench.windows[i], 0.3f, right);
        for (size_t t = 0; t < N_TOKENS; t++) wrong[t] = right[(t + 1) % N_TOKENS];
        cr_expect(lexical_pattern_predict_marked(&label.pattern, bench.vocabulary,
                                                 &bench.windows[i], right));
        cr_expect(!lexical_pattern_predict_marked(&label.pattern, bench.vocabulary,
                                                  &bench.windows[i], wrong));
    }
    static const bool none[N_TOKENS] = {false};
    cr_expect(
        !lexical_pattern_predict_marked(&label.pattern, bench.vocabulary, &bench.windows[0], none));
    end_bench(&bench);
}

Test(lexical, refuses_what_it_cannot_explain)
{
    struct bench bench = make_bench(10);
    struct lexical_label label;
    struct error err = {0};
    cr_expect_eq(lexical_explain(bench.workspace, bench.windows, N_ALL, &label, &err), ST_BAD_INPUT,
                 "no firing window");
    error_clear(&err);
    static struct window many[LEXICAL_MAX_WINDOWS + 1];
    for (size_t i = 0; i <= LEXICAL_MAX_WINDOWS; i++) many[i] = bench.windows[0];
    cr_expect_eq(lexical_explain(bench.workspace, many, LEXICAL_MAX_WINDOWS + 1, &label, &err),
                 ST_TOO_LARGE);
    fire_at(&bench.windows[0], 2, CAT, 1.0f);
    cr_expect_eq(lexical_explain(bench.workspace, bench.windows, 1, &label, NULL), ST_OK,
                 "one firing window and nothing else still gets a label");
    cr_expect(!label.held_out.is_defined && label.text[0] != '\0');
    end_bench(&bench);
}
