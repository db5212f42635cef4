/* Planted features of every kind; the pattern is the lexical explainer's own, fitted to one half
 * of the windows, the type is decided on the other. */
#include "coordinator/session/feature_type.h"
#include "coordinator/session/lexical.h"
#include "tests/support/session_windows.h"

#include <math.h>

enum { N_FIRING = 60, N_SILENT = 40, N_HARD = 20, N_TOKENS = 24 };
enum { N_ALL = N_FIRING + N_SILENT + N_HARD, N_WORDS = 1500 };

static const char *const SPECIAL[] = {" cat", " Cat", " bank", " not", " 42", " 7", "\n", " river"};
enum { CAT, CAPITAL_CAT, BANK, NOT, FORTY_TWO, SEVEN, BREAK, RIVER, FILLER };
enum { FIRST_NAME = 1000 }; /* from here on: words that always fire, in one test */

struct bench {
    struct lexical_vocabulary *vocabulary;
    struct lexical_workspace *workspace;
    struct window fitted[N_ALL], held_out[N_ALL];
    struct draw draw;
};

static uint32_t filler(struct bench *bench)
{
    const double u = (double)(draw_next(&bench->draw) >> 11) / 9007199254740992.0;
    return FILLER + (uint32_t)(exp(u * log(FIRST_NAME - FILLER)) - 1.0);
}

static void fill_windows(struct bench *bench, struct window windows[N_ALL], uint32_t first)
{
    for (uint32_t i = 0; i < N_ALL; i++) {
        uint32_t *tokens = keep_alloc(N_TOKENS, sizeof *tokens);
        windows[i] = drawn_window(&bench->draw, N_TOKENS, N_WORDS, first + i);
        for (size_t t = 0; t < N_TOKENS; t++) tokens[t] = filler(bench);
        windows[i].tokens = tokens;
        if (i >= N_FIRING + N_SILENT) windows[i].kind = WINDOW_SILENT_HARD;
    }
}

static void begin(struct bench *bench, uint64_t seed)
{
    static char names[N_WORDS][8];
    const char *words[N_WORDS];
    *bench = (struct bench){.draw = {seed}};
    for (uint32_t i = 0; i < N_WORDS; i++) {
        const uint32_t n = i * 7919 % 456976; /* four letters, spread */
        (void)snprintf(names[i], sizeof names[i], " %c%c%c%c", 'a' + (char)(n % 26),
                       'a' + (char)(n / 26 % 26), 'a' + (char)(n / 676 % 26),
                       'a' + (char)(n / 17576));
        words[i] = i < FILLER ? SPECIAL[i] : names[i];
    }
    struct token_texts *texts = keep_alloc(1, sizeof *texts);
    *texts = texts_of(words, N_WORDS);
    cr_assert_eq(lexical_vocabulary_create(&bench->vocabulary, texts, NULL), ST_OK);
    cr_assert_eq(lexical_workspace_create(&bench->workspace, bench->vocabulary, NULL), ST_OK);
    fill_windows(bench, bench->fitted, 0);
    fill_windows(bench, bench->held_out, N_ALL);
}

static void end(struct bench *bench)
{
    lexical_workspace_destroy(&bench->workspace);
    lexical_vocabulary_destroy(&bench->vocabulary);
}

/* Fire on `token` behind `before`; 0: whatever stands there. */
static void fire(struct bench *bench, struct window *window, uint32_t token, uint32_t before)
{
    const size_t at = 1 + draw_below(&bench->draw, N_TOKENS - 1);
    if (before) fire_at(window, at - 1, before, 0.0f);
    fire_at(window, at, token, 2.0f);
}

/* `token` stands in a silent window. */
static void stay_silent(struct bench *bench, struct window *window, uint32_t token)
{
    const enum window_kind kind = window->kind;
    fire_at(window, 1 + draw_below(&bench->draw, N_TOKENS - 1), token, 0.0f);
    window->kind = kind;
}

static struct feature_typing type_of(struct bench *bench, enum feature_type claimed)
{
    struct window_clusters clusters;
    struct lexical_label label;
    struct feature_typing typing;
    struct error err = {0};
    cr_assert_eq(window_clusters_find(bench->vocabulary, bench->fitted, N_ALL, &clusters, &err),
                 ST_OK, "%s", err.text);
    const status_t explained =
        lexical_explain(bench->workspace, bench->fitted, N_ALL, &label, &err);
    const struct feature_type_params params = {.vocabulary = bench->vocabulary,
                                               .windows = bench->held_out,
                                               .n_windows = N_ALL,
                                               .clusters = &clusters,
                                               .pattern =
                                                   explained == ST_OK ? &label.pattern : NULL,
                                               .claimed = claimed,
                                               .thresholds = feature_type_thresholds_default()};
    cr_assert_eq(feature_type_find(&params, &typing, &err), ST_OK, "%s", err.text);
    window_clusters_fini(&clusters);
    return typing;
}

enum planted {
    WORD,
    SPELLINGS,
    NUMBERS,
    NAMES,
    AFTER_A_WORD,
    LINE_BREAKS,
    HALF_THE_TIME,
    ANYWHERE,
    TWO
};

static void plant(struct bench *bench, enum planted planted, struct window *windows)
{
    for (uint32_t i = 0; i < N_ALL; i++) {
        const bool fires = i < N_FIRING;
        const uint32_t any = filler(bench);
        switch (planted) {
        case WORD:
            if (fires) fire(bench, &windows[i], BANK, 0);
            break;
        case SPELLINGS:
            if (fires) fire(bench, &windows[i], i % 2 ? CAT : CAPITAL_CAT, 0);
            break;
        case NUMBERS:
            if (fires) fire(bench, &windows[i], i % 2 ? FORTY_TWO : SEVEN, 0);
            break;
        case NAMES: /* 30 words, too many for a pattern of eight terms */
            if (fires) fire(bench, &windows[i], FIRST_NAME + draw_below(&bench->draw, 30), 0);
            break;
        case AFTER_A_WORD:
            if (fires) fire(bench, &windows[i], any, NOT);
            break;
        case LINE_BREAKS:
            if (fires) fire(bench, &windows[i], BREAK, 0);
            break;
        case HALF_THE_TIME: /* as often silent as firing, and nothing nearby says which */
            if (fires)
                fire(bench, &windows[i], FIRST_NAME + i % 20, 0);
            else
                stay_silent(bench, &windows[i], FIRST_NAME + i % 20);
            break;
        case ANYWHERE:
            if (fires) fire(bench, &windows[i], any, 0);
            break;
        case TWO:
            if (fires) fire(bench, &windows[i], i % 5 < 2 ? BANK : any, i % 5 < 2 ? 0 : NOT);
            break;
        }
    }
}

Test(feature_type, planted_features_get_their_type)
{
    static const struct {
        const char *name;
        enum planted planted;
        enum feature_type want;
    } cases[] = {
        {"a word", WORD, FEATURE_TYPE_CONCRETE},
        {"a word in two spellings", SPELLINGS, FEATURE_TYPE_CONCRETE},
        {"numbers", NUMBERS, FEATURE_TYPE_CONCRETE},
        {"thirty names", NAMES, FEATURE_TYPE_CONCRETE},
        {"line breaks", LINE_BREAKS, FEATURE_TYPE_CONCRETE},
        {"after a word", AFTER_A_WORD, FEATURE_TYPE_SYNTACTIC},
        {"words that fire half the time", HALF_THE_TIME, FEATURE_TYPE_ABSTRACT},
        {"anywhere", ANYWHERE, FEATURE_TYPE_ABSTRACT},
        {"a word, and after another word", TWO, FEATURE_TYPE_POLYSEMANTIC},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            struct bench bench;
            begin(&bench, 100 * c + seed);
            plant(&bench, cases[c].planted, bench.fitted);
            plant(&bench, cases[c].planted, bench.held_out);
            const struct feature_typing got = type_of(&bench, FEATURE_TYPE_NONE);
            cr_expect_eq(got.type, cases[c].want, "%s: %s (f1 %g, spelled %g, constancy %g)",
                         cases[c].name, feature_type_name(got.type), got.evidence.token_f1.value,
                         got.evidence.spelled.value, got.evidence.constancy.value);
            end(&bench);
        }
}

Test(feature_type, weak_firing_says_nothing)
{
    struct bench bench;
    begin(&bench, 5);
    plant(&bench, WORD, bench.fitted);
    plant(&bench, WORD, bench.held_out);
    for (size_t i = 0; i < N_FIRING; i++)
        for (size_t t = 0; t < N_TOKENS; t += 3) {
            const struct window *window = &bench.held_out[i];
            if (!(window_activation(window, t) > 0.0f))
                fire_at(&bench.held_out[i], t, window->tokens[t], 0.9f);
        }
    const struct feature_typing got = type_of(&bench, FEATURE_TYPE_NONE);
    cr_expect_float_eq(got.evidence.token_f1.value, 1.0, 1e-12);
    cr_expect(got.evidence.n_words == 1 && got.type == FEATURE_TYPE_CONCRETE);
    end(&bench);
}

Test(feature_type, a_claim_is_compared_and_decides_nothing)
{
    struct bench bench;
    begin(&bench, 3);
    plant(&bench, WORD, bench.fitted);
    plant(&bench, WORD, bench.held_out);
    const struct feature_typing got = type_of(&bench, FEATURE_TYPE_ABSTRACT);
    cr_expect(got.type == FEATURE_TYPE_CONCRETE && got.claimed == FEATURE_TYPE_ABSTRACT);
    json_t *record = feature_typing_json(&got);
    cr_expect_str_eq(json_string_value(json_object_get(record, "type")), "concrete");
    cr_expect_str_eq(json_string_value(json_object_get(record, "claimed")), "abstract");
    cr_expect(json_is_false(json_object_get(record, "agrees")));
    const json_t *evidence = json_object_get(record, "evidence");
    cr_expect_float_eq(json_real_value(json_object_get(evidence, "token_f1")), 1.0, 1e-12);
    cr_expect(json_is_null(json_object_get(evidence, "silhouette")));
    cr_expect_eq(json_integer_value(json_object_get(evidence, "n_words")), 1);
    json_decref(record);
    end(&bench);
}

/* The table of the header, at its edges. */
Test(feature_type, decision_is_the_first_that_holds)
{
    static const struct score_value none = {false, 0.0};
    const struct feature_type_thresholds at = feature_type_thresholds_default();
    const struct {
        const char *name;
        struct feature_type_evidence evidence;
        enum feature_type want;
    } cases[] = {
        {"two groups win over a good pattern",
         {2, true, {true, 0.4}, {true, 1.0}, {true, 1.0}, {true, 1.0}, 2},
         FEATURE_TYPE_POLYSEMANTIC},
        {"pattern at the threshold",
         {1, true, none, {true, 0.7}, {true, 0.5}, none, 2},
         FEATURE_TYPE_CONCRETE},
        {"pattern of contexts",
         {1, true, none, {true, 0.7}, {true, 0.49}, {true, 1.0}, 2},
         FEATURE_TYPE_SYNTACTIC},
        {"pattern below it, constant words",
         {1, false, none, {true, 0.69}, none, {true, 0.8}, 40},
         FEATURE_TYPE_CONCRETE},
        {"words that change",
         {1, false, none, {true, 0.69}, {true, 1.0}, {true, 0.79}, 40},
         FEATURE_TYPE_ABSTRACT},
        {"nothing known", {1, false, none, none, none, none, 9}, FEATURE_TYPE_ABSTRACT},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        cr_expect_eq(feature_type_of(&cases[c].evidence, &at), cases[c].want, "%s", cases[c].name);
}

Test(feature_type, what_cannot_be_measured_is_undefined)
{
    struct bench bench;
    begin(&bench, 4);
    const struct window_clusters clusters = {.n_clusters = 1};
    const struct feature_type_params params = {.vocabulary = bench.vocabulary,
                                               .windows = bench.held_out,
                                               .n_windows = N_ALL,
                                               .clusters = &clusters,
                                               .thresholds = feature_type_thresholds_default()};
    struct feature_typing got;
    cr_assert_eq(feature_type_find(&params, &got, NULL), ST_OK);
    cr_expect(!got.evidence.token_f1.is_defined && !got.evidence.spelled.is_defined);
    cr_expect(!got.evidence.constancy.is_defined && got.evidence.n_words == 0);
    json_t *record = feature_typing_json(&got);
    cr_expect(json_is_null(json_object_get(record, "claimed")));
    cr_expect(json_is_null(json_object_get(record, "agrees")));
    json_decref(record);
    end(&bench);
}
