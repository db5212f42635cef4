#include "coordinator/session/lexical_pattern.h"
#include "coordinator/session/lexical_terms.h"
#include "tests/support/session_windows.h"

static const char *const WORDS[] = {" the", " New",       " York", "\n", " un",
                                    "done", " \"q\\\x01", "\xC3",  "7",  "New"};
enum { THE, NEW, YORK, BREAK, UN, DONE, ODD, HALF, SEVEN, NEW_AGAIN, N_WORDS };

static struct lexical_vocabulary *make_vocabulary(void)
{
    struct token_texts *texts = keep_alloc(1, sizeof *texts);
    struct lexical_vocabulary *vocabulary = NULL;
    *texts = texts_of(WORDS, N_WORDS);
    cr_assert_eq(lexical_vocabulary_create(&vocabulary, texts, NULL), ST_OK);
    return vocabulary;
}

static uint32_t word(const struct lexical_vocabulary *vocabulary, uint32_t token)
{
    return lexical_word(vocabulary, token);
}

static const uint32_t TOKENS[] = {THE, NEW, YORK, BREAK, UN, DONE, NEW_AGAIN, YORK};
static const struct window WINDOW = {.tokens = TOKENS, .n_tokens = 8, .document_offset = 2};

/* Positions of WINDOW at which the term matches, as bits. */
static unsigned matches(struct lexical_term term, const struct lexical_vocabulary *vocabulary)
{
    unsigned bits = 0;
    for (size_t i = 0; i < WINDOW.n_tokens; i++)
        bits |= lexical_term_matches(&term, vocabulary, &WINDOW, i) ? 1u << i : 0u;
    return bits;
}

Test(lexical_pattern, terms_match_where_they_should)
{
    struct lexical_vocabulary *v = make_vocabulary();
    const uint32_t new_word = word(v, NEW), york = word(v, YORK);
    const uint32_t un = lexical_vocabulary_token(v, UN)->folded;
    const struct {
        const char *name;
        struct lexical_term term;
        unsigned want;
    } cases[] = {
        {"token", {TERM_TOKEN, 0, 1, {NEW, 0, 0}}, 1u << 1},
        {"word, any case or spacing", {TERM_FOLDED, 0, 1, {new_word, 0, 0}}, 1u << 1 | 1u << 6},
        {"after a word", {TERM_FOLDED, 1, 1, {new_word, 0, 0}}, 1u << 2 | 1u << 7},
        {"two after a word", {TERM_FOLDED, 2, 1, {new_word, 0, 0}}, 1u << 3},
        {"prefix is the whole token", {TERM_PREFIX, 0, 1, {un, 0, 0}}, 1u << 4},
        {"class", {TERM_CLASS, 0, 1, {CLASS_LINE_BREAK, 0, 0}}, 1u << 3},
        {"after a class", {TERM_CLASS, 1, 1, {CLASS_LINE_BREAK, 0, 0}}, 1u << 4},
        {"sequence", {TERM_SEQUENCE, 0, 2, {new_word, york, 0}}, 1u << 2 | 1u << 7},
        {"after a sequence", {TERM_SEQUENCE, 1, 2, {new_word, york, 0}}, 1u << 3},
        {"sequence with a line break", {TERM_SEQUENCE, 0, 2, {york, word(v, BREAK), 0}}, 1u << 3},
        {"first four of the document", {TERM_POSITION, 0, 1, {4, 0, 0}}, 3u},
        {"repeated token", {TERM_REPEATED, 0, 1, {0, 0, 0}}, 1u << 7},
        {"no pair is repeated", {TERM_REPEATED_PAIR, 0, 1, {0, 0, 0}}, 0u},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(matches(cases[i].term, v), cases[i].want, "%s: %x", cases[i].name,
                     matches(cases[i].term, v));
    lexical_vocabulary_destroy(&v);
}

Test(lexical_pattern, terms_read_off_a_token_match_there_and_are_distinct)
{
    struct draw draw = {31};
    struct lexical_vocabulary *v = make_vocabulary();
    for (uint32_t round = 0; round < 300; round++) {
        struct window window = drawn_window(&draw, 12, N_WORDS + 1, round);
        struct lexical_term terms[LEXICAL_TERMS_AT];
        const size_t at = draw_below(&draw, 12);
        window.document_offset = draw_below(&draw, 40);
        const size_t n = lexical_terms_at(v, &window, at, terms);
        cr_assert(n > 0 && n <= LEXICAL_TERMS_AT);
        for (size_t i = 0; i < n; i++) {
            cr_assert(lexical_term_matches(&terms[i], v, &window, at), "kind %d", terms[i].kind);
            for (size_t j = 0; j < i; j++)
                cr_assert_neq(lexical_term_key(&terms[i]), lexical_term_key(&terms[j]));
        }
    }
    lexical_vocabulary_destroy(&v);
}

static void expect_label(const struct lexical_vocabulary *v, const struct lexical_pattern *pattern,
                         const char *want)
{
    char text[LEXICAL_LABEL_SIZE];
    cr_assert_eq(lexical_pattern_describe(pattern, v, text, NULL), ST_OK);
    cr_expect_str_eq(text, want);
}

Test(lexical_pattern, labels_say_what_matches)
{
    struct lexical_vocabulary *v = make_vocabulary();
    const uint32_t new_word = word(v, NEW), york = word(v, YORK);
    const uint32_t the = lexical_vocabulary_token(v, THE)->folded;
    const struct {
        struct lexical_pattern pattern;
        const char *want;
    } cases[] = {
        {{1, {{TERM_TOKEN, 0, 1, {THE, 0, 0}}}, 0}, "the token \" the\""},
        {{2, {{TERM_TOKEN, 0, 1, {THE, 0, 0}}, {TERM_TOKEN, 0, 1, {BREAK, 0, 0}}}, 0},
         "any of the tokens \" the\", \"\\n\""},
        {{1, {{TERM_FOLDED, 2, 1, {new_word, 0, 0}}}, 0},
         "the second token after the word \"new\" (any case or spacing)"},
        {{2, {{TERM_PREFIX, 0, 1, {the, 0, 0}}, {TERM_SUFFIX, 0, 1, {york, 0, 0}}}, 0},
         "a token starting with \"the\"; or a token ending in \"york\""},
        {{1, {{TERM_SEQUENCE, 1, 2, {new_word, york, 0}}}, 0},
         "the token right after the sequence \"new\" + \"york\" (any case or spacing)"},
        {{2,
          {{TERM_CLASS, 1, 1, {CLASS_LINE_BREAK, 0, 0}}, {TERM_CLASS, 1, 1, {CLASS_DIGITS, 0, 0}}},
          0},
         "the token right after a line break or a number in digits"},
        {{1, {{TERM_POSITION, 0, 1, {8, 0, 0}}}, 0}, "one of the first 8 tokens of a document"},
        {{1, {{TERM_REPEATED, 0, 1, {0, 0, 0}}}, 0}, "a token that occurred earlier in the window"},
        {{1, {{TERM_TOKEN, 0, 1, {ODD, 0, 0}}}, 0}, "the token \" \\\"q\\\\\\u0001\""},
        {{1, {{TERM_TOKEN, 0, 1, {HALF, 0, 0}}}, 0}, "the token \"\\xC3\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_label(v, &cases[i].pattern, cases[i].want);
    lexical_vocabulary_destroy(&v);
}

Test(lexical_pattern, long_labels_are_cut_to_512_bytes_of_utf8)
{
    static const char *const word_list[] = {
        "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE6\x97\xA5"
        "\xE6\x9C\xAC\xE8\xAA\x9E\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE6\x97\xA5\xE6\x9C\xAC"};
    struct token_texts *texts = keep_alloc(1, sizeof *texts);
    struct lexical_vocabulary *v = NULL;
    struct lexical_pattern pattern = {.n_terms = LEXICAL_MAX_TERMS};
    char text[LEXICAL_LABEL_SIZE];
    *texts = texts_of(word_list, 1);
    cr_assert_eq(lexical_vocabulary_create(&v, texts, NULL), ST_OK);
    const uint32_t folded = lexical_vocabulary_token(v, 0)->folded;
    for (size_t t = 0; t < LEXICAL_MAX_TERMS; t++)
        pattern.terms[t] = (struct lexical_term){TERM_SEQUENCE, 0, 3, {folded, folded, folded}};
    cr_assert_eq(lexical_pattern_describe(&pattern, v, text, NULL), ST_OK);
    cr_expect(strlen(text) <= 512 && strlen(text) > 508);
    lexical_vocabulary_destroy(&v);
}
