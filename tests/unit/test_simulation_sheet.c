#include "coordinator/session/simulation_sheet.h"

#include "tests/support/session_windows.h"

enum { N_TOKENS = 4, N_FIRING = 9, N_RANDOM = 6 };

static const struct bootstrap_params PARAMS = {200, 0.95, 17, 4};

/* N_FIRING firing windows, strongest first, N_RANDOM random ones and a hard one. */
static struct window_selection judged_windows(void)
{
    struct draw draw = {3};
    struct window_selection made = {.n_windows = N_FIRING + N_RANDOM + 1,
                                    .n_of_kind = {N_FIRING, N_RANDOM, 1}};
    made.windows = keep_alloc(made.n_windows, sizeof *made.windows);
    for (uint32_t i = 0; i < made.n_windows; i++) {
        made.windows[i] = drawn_window(&draw, N_TOKENS, 20, i);
        if (i < N_FIRING) fire_at(&made.windows[i], i % N_TOKENS, 7, 10.0f - (float)i);
    }
    return made;
}

/* Every token of window `index` with a number: 9 where it fires, else its place. */
static char *lines_of(const struct window_selection *judged, const struct simulation_sheet *sheet,
                      size_t index, const size_t *chosen, char *out, size_t size)
{
    const struct simulation_tokens *tokens = &sheet->texts[index].tokens;
    size_t at = 0;
    for (size_t i = 0; i < tokens->n_tokens; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        const bool fires = window_activation(&judged->windows[chosen[index]], i) > 0;
        at +=
            (size_t)snprintf(out + at, size - at, "%.*s\t%d\n", (int)n, token, fires ? 9 : (int)i);
    }
    return out;
}

Test(simulation_sheet, takes_firing_windows_of_all_strengths_and_as_many_random_ones)
{
    const struct window_selection judged = judged_windows();
    size_t chosen[2 * 20];
    static const size_t want[] = {1, 4, 7, 9, 10, 11};
    cr_assert_eq(simulation_choose(&judged, 3, chosen), 6);
    cr_expect_arr_eq(chosen, want, sizeof want);
    cr_assert_eq(simulation_choose(&judged, 20, chosen), N_FIRING + N_RANDOM, "no hard ones");
    for (size_t i = 0; i < N_FIRING + N_RANDOM; i++) cr_expect_eq(chosen[i], i);
    const struct window_selection none = {.n_windows = 0};
    cr_expect_eq(simulation_choose(&none, 3, chosen), 0);
}

static bool fill(struct simulation_sheet *sheet, size_t index, enum simulation_form form,
                 const char *content, const char *logprobs)
{
    const struct session_reply reply = {content, content ? strlen(content) : 0, logprobs};
    bool was_read;
    cr_assert_eq(simulation_sheet_fill(sheet, index, form, &reply, &was_read, NULL), ST_OK);
    return was_read;
}

static struct simulation_sheet open_sheet(const struct window_selection *judged, size_t n_each)
{
    const struct token_texts texts = numbered_texts(20);
    struct simulation_sheet sheet;
    cr_assert_eq(simulation_sheet_init(&sheet, judged, n_each, &texts, NULL), ST_OK);
    return sheet;
}

Test(simulation_sheet, replies_without_log_probabilities_that_spell_them_are_a_scale)
{
    static const char spelling[] = "{\"content\": [{\"token\": \"x\", \"logprob\": 0}]}";
    const struct window_selection judged = judged_windows();
    struct simulation_sheet sheet = open_sheet(&judged, 3);
    struct simulation_outcome got = {.form = SIMULATION_LOGPROBS};
    size_t chosen[6];
    char reply[512];
    (void)simulation_choose(&judged, 3, chosen);
    for (size_t i = 0; i < 4; i++)
        cr_expect(fill(&sheet, i, SIMULATION_LOGPROBS,
                       lines_of(&judged, &sheet, i, chosen, reply, sizeof reply),
                       i % 2 ? spelling : NULL));
    cr_expect(!fill(&sheet, 4, SIMULATION_LOGPROBS, "Well, about 7.", NULL));
    cr_expect(!fill(&sheet, 5, SIMULATION_LOGPROBS, NULL, NULL), "a call that failed");
    cr_assert_eq(simulation_sheet_measure(&sheet, &judged, 3, &PARAMS, &got, NULL), ST_OK);
    cr_expect(got.is_there && got.form == SIMULATION_LOGPROBS);
    cr_expect_eq(got.n_expected, 0);
    cr_expect_eq(got.score.n_windows, 6);
    cr_expect_eq(got.score.n_failed, 2);
    cr_expect_eq(got.score.n_tokens, 6 * N_TOKENS);
    cr_expect(got.score.pearson.is_defined && got.score.pearson.value > 0.5);
    cr_expect(got.score.interval.is_defined);
    cr_expect(!got.score.r2.is_defined && !got.score.absdev.is_defined, "nothing is calibrated");
    simulation_sheet_fini(&sheet);
}

Test(simulation_sheet, log_probabilities_that_spell_the_reply_give_expected_values)
{
    const struct window_selection judged = judged_windows();
    struct simulation_sheet sheet = open_sheet(&judged, 1);
    char reply[512] = "", logprobs[2048] = "{\"content\": [";
    const struct simulation_tokens *tokens = &sheet.texts[0].tokens;
    for (size_t i = 0; i < tokens->n_tokens; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        (void)snprintf(reply + strlen(reply), sizeof reply - strlen(reply), "%.*s\t3\n", (int)n,
                       token);
        (void)snprintf(logprobs + strlen(logprobs), sizeof logprobs - strlen(logprobs),
                       "%s{\"token\": \"%.*s\"}, {\"token\": \"\\t\"}, {\"token\": \"3\", "
                       "\"logprob\": -0.6931471805599453, \"top_logprobs\": [{\"token\": \"5\", "
                       "\"logprob\": -0.6931471805599453}]}, {\"token\": \"\\n\"}",
                       i ? ", " : "", (int)n, token);
    }
    (void)strncat(logprobs, "]}", sizeof logprobs - strlen(logprobs) - 1);
    cr_assert(fill(&sheet, 0, SIMULATION_LOGPROBS, reply, logprobs));
    cr_expect(sheet.texts[0].is_expected);
    for (size_t i = 0; i < N_TOKENS; i++)
        cr_expect_float_eq(sheet.texts[0].predicted[i], 4.0, 1e-12);
    simulation_sheet_fini(&sheet);
}

Test(simulation_sheet, other_windows_than_it_was_opened_with_are_refused)
{
    struct window_selection judged = judged_windows();
    struct simulation_sheet sheet = open_sheet(&judged, 2);
    struct simulation_outcome got = {.form = SIMULATION_SCALE};
    cr_expect_eq(simulation_sheet_measure(&sheet, &judged, 3, &PARAMS, &got, NULL), ST_INTERNAL);
    judged.windows[2].n_tokens = 2;
    cr_expect_eq(simulation_sheet_measure(&sheet, &judged, 2, &PARAMS, &got, NULL), ST_INTERNAL);
    simulation_sheet_fini(&sheet);
    simulation_sheet_fini(&sheet);
}
