#include "coordinator/session/lexical_vocabulary.h"
#include "tests/support/session_windows.h"

static struct lexical_vocabulary *vocabulary_of(const char *const *words, size_t n_words)
{
    static struct token_texts texts;
    struct lexical_vocabulary *vocabulary = NULL;
    texts = texts_of(words, n_words);
    cr_assert_eq(lexical_vocabulary_create(&vocabulary, &texts, NULL), ST_OK);
    return vocabulary;
}

Test(lexical_vocabulary, spelling_ignores_case_and_outer_space)
{
    static const char *const words[] = {
        " The", "the", "THE ", "them", " \xC3\x89t\xC3\xA9", "\xC3\xA9t\xC3\xA9"};
    struct lexical_vocabulary *vocabulary = vocabulary_of(words, 6);
    const uint32_t the = lexical_vocabulary_token(vocabulary, 0)->folded;
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 1)->folded, the);
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 2)->folded, the);
    cr_expect_neq(lexical_vocabulary_token(vocabulary, 3)->folded, the);
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 3)->prefixes[1], the, "them starts with the");
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 4)->folded,
                 lexical_vocabulary_token(vocabulary, 5)->folded);
    size_t n_bytes;
    const char *text = lexical_vocabulary_spelling(vocabulary, the, &n_bytes);
    cr_expect(n_bytes == 3 && memcmp(text, "the", 3) == 0);
    lexical_vocabulary_destroy(&vocabulary);
    cr_expect_null(vocabulary);
}

Test(lexical_vocabulary, classes_are_what_they_say)
{
    static const struct {
        const char *text;
        unsigned classes;
    } cases[] = {
        {" 1987", 1u << CLASS_DIGITS | 1u << CLASS_HAS_DIGIT},
        {"x86", 1u << CLASS_HAS_DIGIT | 1u << CLASS_WORD_PIECE},
        {" Anna", 1u << CLASS_CAPITALISED | 1u << CLASS_WORD_START},
        {"NASA", 1u << CLASS_ALL_CAPITALS},
        {" I", 1u << CLASS_ONE_LETTER | 1u << CLASS_WORD_START},
        {"McX", 0},
        {" (", 1u << CLASS_PUNCTUATION},
        {"\n\n", 1u << CLASS_LINE_BREAK | 1u << CLASS_WHITE_SPACE},
        {"  ", 1u << CLASS_WHITE_SPACE},
        {".\n", 1u << CLASS_PUNCTUATION | 1u << CLASS_LINE_BREAK},
        {"ing", 1u << CLASS_WORD_PIECE},
        {"\xE2\x80\x94", 1u << CLASS_PUNCTUATION | 1u << CLASS_NOT_ASCII},
        {"\xE6\x97\xA5", 1u << CLASS_NOT_ASCII},
        {"\xE2\x82", 0},
        {"", 0},
    };
    const char *words[16];
    const size_t n = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < n; i++) words[i] = cases[i].text;
    struct lexical_vocabulary *vocabulary = vocabulary_of(words, n);
    for (uint32_t i = 0; i < n; i++)
        cr_expect_eq(lexical_vocabulary_token(vocabulary, i)->classes, cases[i].classes, "'%s': %x",
                     cases[i].text, (unsigned)lexical_vocabulary_token(vocabulary, i)->classes);
    lexical_vocabulary_destroy(&vocabulary);
}

Test(lexical_vocabulary, pieces_are_distinct_and_bounded)
{
    static const char *const words[] = {" banana", "aaaaaaaa", "abcdefghijklmnopqrstuvwxyz", "ab"};
    struct lexical_vocabulary *vocabulary = vocabulary_of(words, 4);
    const struct lexical_token *banana = lexical_vocabulary_token(vocabulary, 0);
    cr_expect_eq(banana->n_pieces, 3 + 3, "ban ana nan, bana anan nana");
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 1)->n_pieces, 2);
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 2)->n_pieces, LEXICAL_MAX_PIECES);
    cr_expect_eq(lexical_vocabulary_token(vocabulary, 3)->n_pieces, 0);
    const uint32_t *pieces = lexical_vocabulary_pieces(vocabulary, banana);
    for (size_t i = 0; i < banana->n_pieces; i++)
        for (size_t j = 0; j < i; j++) cr_expect_neq(pieces[i], pieces[j]);
    lexical_vocabulary_destroy(&vocabulary);
}

Test(lexical_vocabulary, unknown_and_over_long_tokens_have_no_spelling)
{
    char long_word[200];
    memset(long_word, 'x', sizeof long_word);
    long_word[199] = '\0';
    const char *words[] = {long_word};
    struct lexical_vocabulary *vocabulary = vocabulary_of(words, 1);
    for (uint32_t token = 0; token < 2; token++) {
        cr_expect_eq(lexical_vocabulary_token(vocabulary, token)->folded, LEXICAL_NO_TEXT);
        cr_expect_eq(lexical_vocabulary_token(vocabulary, token)->n_pieces, 0);
    }
    lexical_vocabulary_destroy(&vocabulary);
}

Test(lexical_vocabulary, interning_survives_growth)
{
    const struct token_texts texts = numbered_texts(20000);
    struct lexical_vocabulary *vocabulary;
    cr_assert_eq(lexical_vocabulary_create(&vocabulary, &texts, NULL), ST_OK);
    for (uint32_t i = 0; i < 20000; i += 97) {
        char want[16];
        size_t n_bytes;
        const char *got = lexical_vocabulary_spelling(
            vocabulary, lexical_vocabulary_token(vocabulary, i)->folded, &n_bytes);
        (void)snprintf(want, sizeof want, "w%u", i);
        cr_assert(n_bytes == strlen(want) && memcmp(got, want, n_bytes) == 0, "%s", want);
    }
    lexical_vocabulary_destroy(&vocabulary);
}
