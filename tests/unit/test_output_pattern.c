#include "coordinator/session/output_pattern.h"
#include "tests/support/session_windows.h"

enum { N_WORDS = 2000, N_SPECIAL = 14, N_TOP = 10 };
static const char *const SPECIAL[N_SPECIAL] = {" undo",  " untie", " unfit", " unwell", " unarm",
                                               " until", " unite", " unit",  " unify",  " uncle",
                                               "12",     "365",    " 42",    "1999"};

static struct lexical_vocabulary *make_vocabulary(void)
{
    static char filler[N_WORDS][8];
    const char *words[N_WORDS];
    for (uint32_t i = 0; i < N_WORDS; i++) {
        const uint32_t n = i * 7919 % 456976; /* four letters, spread */
        (void)snprintf(filler[i], sizeof filler[i], " %c%c%c%c", 'a' + (char)(n % 26),
                       'a' + (char)(n / 26 % 26), 'a' + (char)(n / 676 % 26),
                       'a' + (char)(n / 17576));
        words[i] = i < N_SPECIAL ? SPECIAL[i] : filler[i];
    }
    struct token_texts *texts = keep_alloc(1, sizeof *texts);
    struct lexical_vocabulary *vocabulary;
    *texts = texts_of(words, N_WORDS);
    cr_assert_eq(lexical_vocabulary_create(&vocabulary, texts, NULL), ST_OK);
    return vocabulary;
}

static bool describe(const uint32_t *tokens, size_t n, char out[LEXICAL_LABEL_SIZE])
{
    struct lexical_vocabulary *vocabulary = make_vocabulary();
    struct output_background *background;
    bool has_pattern;
    cr_assert_eq(output_background_create(&background, vocabulary, N_WORDS, NULL), ST_OK);
    cr_assert_eq(output_pattern_describe(background, tokens, n, &has_pattern, out, NULL), ST_OK);
    output_background_destroy(&background);
    lexical_vocabulary_destroy(&vocabulary);
    return has_pattern;
}

Test(output_pattern, tokens_that_begin_alike_are_named_by_it)
{
    const uint32_t tokens[N_TOP] = {0, 1, 2, 3, 4, 5, 500, 702, 903, 1104}; /* 6 of 10 */
    char text[LEXICAL_LABEL_SIZE];
    cr_assert(describe(tokens, N_TOP, text));
    cr_expect_str_eq(text, "a token starting with \"un\"");
}

Test(output_pattern, tokens_that_share_nothing_have_none)
{
    char text[LEXICAL_LABEL_SIZE];
    const uint32_t strangers[N_TOP] = {100, 300, 501, 702, 903, 1104, 1305, 1506, 1707, 1908};
    cr_expect(!describe(strangers, N_TOP, text));
    cr_expect_str_empty(text);
    const uint32_t too_few[N_TOP] = {0, 1, 2, 3, 4, 501, 702, 903, 1104, 1305}; /* 5 of 10 */
    cr_expect(!describe(too_few, N_TOP, text), "%s", text);
    cr_expect(!describe(NULL, 0, text));
}
