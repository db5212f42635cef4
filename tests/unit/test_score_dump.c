/* Scores of seeded judgements and replies, written as JSON lines for an independent script to
 * compute again: tests/support/recompute_scores.py says what the lines hold, the integration test
 * scores_recomputed.py runs both and compares. The lines go to the file that SCORE_DUMP names in
 * the environment; without it they are only made and checked for being defined. */
#include "coordinator/session/agreement.h"
#include "coordinator/session/score_summary.h"
#include "coordinator/session/simulation.h"
#include "coordinator/session/simulation_reply.h"
#include "tests/support/session_windows.h"

#include <jansson.h>
#include <math.h>

enum { N_CASES = 40, MAX_WINDOWS = 60, MAX_TOKENS = 32 };

static struct bootstrap_params params_of(uint64_t subject)
{
    return (struct bootstrap_params){200, 0.95, 17, subject};
}

static double uniform(struct draw *draw)
{
    return (double)(draw_next(draw) >> 11) / 9007199254740992.0;
}

/* Append the case (a reference of ours) as a line of the dump. */
static void write_case(json_t *made, const struct bootstrap_params *params)
{
    const char *path = getenv("SCORE_DUMP");
    cr_assert(made);
    cr_assert_eq(
        json_object_set_new(made, "bootstrap",
                            json_pack("{s:i, s:f, s:i, s:i}", "resamples", (int)params->n_resamples,
                                      "confidence", params->confidence, "seed", (int)params->seed,
                                      "subject", (int)params->subject)),
        0);
    if (path) {
        FILE *file = fopen(path, "a");
        cr_assert(file, "%s", path);
        cr_assert_eq(json_dumpf(made, file, JSON_COMPACT | JSON_REAL_PRECISION(17)), 0);
        cr_assert(fputc('\n', file) == '\n' && fclose(file) == 0);
    }
    json_decref(made);
}

static json_t *score_json(struct score_value score)
{
    cr_expect(isfinite(score.value));
    return score.is_defined ? json_real(score.value) : json_null();
}

static json_t *interval_json(struct interval interval)
{
    return interval.is_defined ? json_pack("[f, f]", interval.low, interval.high) : json_null();
}

/* --- detection and fuzzing: judgements -------------------------------------------------- */

static size_t draw_judgements(struct draw *draw, struct judgement *out)
{
    const size_t n = 4 + draw_below(draw, MAX_WINDOWS - 3);
    const bool has_probabilities = draw_below(draw, 2);
    const uint32_t n_documents = 1 + draw_below(draw, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        const enum window_kind truth = (enum window_kind)draw_below(draw, WINDOW_N_KINDS);
        const double p = floor(20.0 * uniform(draw)) / 20.0; /* with ties */
        const bool is_right = draw_below(draw, 10) < 7;
        out[i] = (struct judgement){.document_key = 1 + draw_below(draw, n_documents),
                                    .truth = truth,
                                    .answer = (truth == WINDOW_FIRING) == is_right ? ANSWER_FIRES
                                                                                   : ANSWER_SILENT,
                                    .has_probability = has_probabilities,
                                    .probability = has_probabilities ? p : 0.0};
        if (draw_below(draw, 12) == 0) out[i].answer = ANSWER_FAILED;
    }
    return n;
}

static json_t *judgements_json(const struct judgement *judgements, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(
            json_array_append_new(
                list, json_pack("{s:i, s:s, s:i, s:o}", "document", (int)judgements[i].document_key,
                                "truth", window_kind_name(judgements[i].truth), "answer",
                                (int)judgements[i].answer, "probability",
                                judgements[i].has_probability ? json_real(judgements[i].probability)
                                                              : json_null())),
            0);
    return list;
}

static json_t *neighbours_json(const struct kind_counts *counts)
{
    if (counts->n_true_silent + counts->n_false_alarm == 0) return json_null();
    return json_pack("{s:i, s:i}", "true_silent", (int)counts->n_true_silent, "false_alarm",
                     (int)counts->n_false_alarm);
}

Test(score_dump, classification)
{
    struct draw draw = {1};
    for (uint32_t c = 0; c < N_CASES; c++) {
        struct judgement judgements[MAX_WINDOWS];
        const size_t n = draw_judgements(&draw, judgements);
        for (int negatives = 0; negatives < SCORE_N_NEGATIVES; negatives++) {
            const struct bootstrap_params params = params_of(c);
            struct score_summary got;
            cr_assert_eq(score_summarise(judgements, n, (enum score_negatives)negatives, &params,
                                         &got, NULL),
                         ST_OK);
            write_case(json_pack("{s:s, s:s, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o}}",
                                 "score", "classification", "negatives",
                                 negatives == NEGATIVES_RANDOM ? "random" : "hard", "judgements",
                                 judgements_json(judgements, n), "got", "balanced_accuracy",
                                 score_json(got.balanced_accuracy), "f1", score_json(got.f1),
                                 "precision", score_json(got.precision), "recall",
                                 score_json(got.recall), "auroc", score_json(got.auroc), "interval",
                                 interval_json(got.interval), "n_redrawn",
                                 (int)got.interval.n_redrawn, "neighbours",
                                 neighbours_json(&got.neighbours)),
                       &params);
        }
    }
}

/* --- agreement: judges --------------------------------------------------------------------- */

static json_t *agreement_json(const struct agreement *agreement)
{
    return json_pack("{s:o, s:o, s:i, s:i}", "kappa", score_json(agreement->kappa), "interval",
                     interval_json(agreement->interval), "n_windows", (int)agreement->n_windows,
                     "n_redrawn", (int)agreement->interval.n_redrawn);
}

Test(score_dump, agreement)
{
    struct draw draw = {2};
    for (uint32_t c = 0; c < N_CASES; c++) {
        static struct judgement answers[5][MAX_WINDOWS];
        const struct judgement *judges[5];
        const size_t n_judges = 2 + draw_below(&draw, 4);
        const size_t n = draw_judgements(&draw, answers[0]);
        const struct bootstrap_params params = params_of(c);
        struct agreement cohen, fleiss;
        json_t *list = json_array();
        for (size_t j = 0; j < n_judges; j++) {
            judges[j] = answers[j];
            for (size_t i = 0; i < n && j > 0; i++) {
                answers[j][i] = answers[0][i];
                if (draw_below(&draw, 4) == 0)
                    answers[j][i].answer = (enum judge_answer)((int)draw_below(&draw, 3) - 1);
            }
            cr_assert_eq(json_array_append_new(list, judgements_json(answers[j], n)), 0);
        }
        cr_assert_eq(agreement_cohen(judges[0], judges[1], n, &params, &cohen, NULL), ST_OK);
        cr_assert_eq(agreement_fleiss(judges, n_judges, n, &params, &fleiss, NULL), ST_OK);
        write_case(json_pack("{s:s, s:o, s:{s:o, s:o}}", "score", "agreement", "judges", list,
                             "got", "cohen", agreement_json(&cohen), "fleiss",
                             agreement_json(&fleiss)),
                   &params);
    }
}

/* --- simulation: replies ------------------------------------------------------------------- */

static const char *const WORDS[] = {"The", " cat", " sat", "on",   "\n",  "7",
                                    " 10", ".",    " caf", "\xC3", "\xA9"};
enum { N_WORDS = sizeof WORDS / sizeof WORDS[0] };

/* A judge's reply under construction. */
struct spoken {
    struct draw *draw;
    struct buffer text;
    json_t *content; /* of the log probabilities */
};

static void say(struct spoken *spoken, const char *token, size_t n_bytes, json_t *top)
{
    json_t *bytes = json_array();
    for (size_t i = 0; i < n_bytes; i++)
        cr_assert_eq(json_array_append_new(bytes, json_integer((unsigned char)token[i])), 0);
    cr_assert_eq(buffer_append(&spoken->text, token, n_bytes, NULL), ST_OK);
    cr_assert_eq(
        json_array_append_new(spoken->content,
                              json_pack("{s:s, s:f, s:o, s:o}", "token",
                                        n_bytes == 1 && token[0] >= ' ' && token[0] <= '~'
                                            ? (char[]){token[0], '\0'}
                                            : "?",
                                        "logprob", -0.25, "bytes", bytes, "top_logprobs", top)),
        0);
}

/* Some of 0 to 10 and something else, with log probabilities. */
static json_t *draw_top(struct draw *draw)
{
    json_t *top = json_array();
    for (int value = 0; value <= 11; value++) {
        char text[8];
        (void)snprintf(text, sizeof text, value <= 10 ? "%d" : "x%d", value);
        if (draw_below(draw, 3) == 0) continue;
        cr_assert_eq(json_array_append_new(top, json_pack("{s:s, s:f}", "token", text, "logprob",
                                                          -8.0 * uniform(draw))),
                     0);
    }
    return top;
}

/* The number: one token, or digit by digit. */
static void say_value(struct spoken *spoken, unsigned value)
{
    json_t *top = draw_top(spoken->draw);
    if (value == 10) {
        say(spoken, "1", 1, top);
        say(spoken, "0", 1, draw_top(spoken->draw));
    } else {
        const char digit = (char)('0' + value);
        say(spoken, &digit, 1, top);
    }
}

/* The lines of a window; now and then a judge leaves one out or writes another token. */
static void say_lines(struct spoken *spoken, const struct simulation_tokens *tokens)
{
    const bool is_wrong = draw_below(spoken->draw, 6) == 0;
    const size_t wrong = draw_below(spoken->draw, (uint32_t)tokens->n_tokens);
    for (size_t i = 0; i < tokens->n_tokens; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        if (is_wrong && i == wrong) continue;
        const size_t cut = n > 0 ? draw_below(spoken->draw, (uint32_t)n) : 0;
        if (cut > 0) say(spoken, token, cut, json_array());
        say(spoken, token + cut, n - cut, json_array());
        say(spoken, "\t", 1, json_array());
        say_value(spoken, draw_below(spoken->draw, 11));
        say(spoken, "\n", 1, draw_top(spoken->draw));
    }
}

static json_t *tokens_json(const struct simulation_tokens *tokens)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->n_tokens; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        cr_assert_eq(json_array_append_new(list, json_stringn(token, n)), 0);
    }
    return list;
}

/* One window with its reply in either form; *simulated is what was read of it. */
static json_t *simulate_window(struct draw *draw, const struct window *window,
                               struct simulated_window *simulated)
{
    const struct token_texts texts = texts_of(WORDS, N_WORDS);
    struct simulation_tokens tokens;
    struct spoken spoken = {.draw = draw, .content = json_array()};
    double *predicted = keep_alloc(window->n_tokens, sizeof *predicted);
    json_t *activations = json_array();
    buffer_init(&spoken.text, 1 << 16);
    cr_assert_eq(simulation_tokens_init(&tokens, window, &texts, NULL), ST_OK);
    say_lines(&spoken, &tokens);
    json_t *logprobs = json_pack("{s:o}", "content", spoken.content);
    char *text = json_dumps(logprobs, JSON_COMPACT | JSON_REAL_PRECISION(17));
    const status_t status =
        simulation_reply_logprobs((const char *)spoken.text.bytes, spoken.text.n_bytes, text,
                                  strlen(text), &tokens, predicted, NULL);
    cr_assert(status == ST_OK || status == ST_BAD_INPUT);
    *simulated = (struct simulated_window){window, status == ST_OK ? predicted : NULL};
    for (size_t i = 0; i < window->n_tokens; i++)
        cr_assert_eq(
            json_array_append_new(activations, json_real((double)window_activation(window, i))), 0);
    json_t *made =
        json_pack("{s:i, s:o, s:o, s:s#, s:o}", "document", (int)window->document_key, "tokens",
                  tokens_json(&tokens), "activations", activations, "reply",
                  (const char *)spoken.text.bytes, (int)spoken.text.n_bytes, "logprobs", logprobs);
    free(text);
    buffer_fini(&spoken.text);
    simulation_tokens_fini(&tokens);
    return made;
}

static struct window draw_window(struct draw *draw, uint32_t index)
{
    struct window window = drawn_window(draw, 2 + draw_below(draw, MAX_TOKENS - 1), N_WORDS, index);
    window.document_key = 1 + draw_below(draw, 8);
    window.document_offset = 64 * index;
    for (uint32_t n = draw_below(draw, 4); n > 0; n--) {
        const size_t at = draw_below(draw, (uint32_t)window.n_tokens);
        fire_at(&window, at, window.tokens[at], (float)(0.5 + 20.0 * uniform(draw)));
    }
    return window;
}

Test(score_dump, simulation)
{
    struct draw draw = {3};
    for (uint32_t c = 0; c < N_CASES; c++) {
        const struct bootstrap_params params = params_of(c);
        const size_t n = 1 + draw_below(&draw, 12);
        struct window windows[12];
        struct simulated_window simulated[12];
        struct simulation_score got;
        struct simulation_fit fit;
        json_t *list = json_array();
        for (uint32_t i = 0; i < n; i++) {
            windows[i] = draw_window(&draw, i);
            cr_assert_eq(
                json_array_append_new(list, simulate_window(&draw, &windows[i], &simulated[i])), 0);
        }
        cr_assert_eq(simulation_calibrate(simulated, n, &fit, NULL), ST_OK);
        cr_assert_eq(simulation_measure(simulated, n, &fit, &params, &got, NULL), ST_OK);
        write_case(json_pack("{s:s, s:o, s:{s:o, s:o, s:o, s:o, s:i, s:i}}", "score", "simulation",
                             "windows", list, "got", "pearson", score_json(got.pearson), "r2",
                             score_json(got.r2), "absdev", score_json(got.absdev), "interval",
                             interval_json(got.interval), "n_failed", (int)got.n_failed,
                             "n_redrawn", (int)got.interval.n_redrawn),
                   &params);
    }
}
