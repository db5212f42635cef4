/* Random words said twice, on the vocabulary of the known models. */
#include "worker/prompts/repeated_tokens.h"

#include "worker/known/word_vocabulary.h"

#include <criterion/criterion.h>
#include <string.h>

enum { N_TOKENS = 21, N_COPY = 10 };

static struct tokenizer *opened;
static struct prompt_tokenizer tokenizer;
static struct error err;

static void set_up(void)
{
    json_t *json = word_tokenizer(32);
    char *text = json_dumps(json, 0);
    error_clear(&err);
    cr_assert_eq(tokenizer_parse(&opened, text, strlen(text), &err), ST_OK, "%s", err.text);
    tokenizer = (struct prompt_tokenizer){
        .tokenizer = opened, .n_vocab = 32, .n_positions = 64, .bos = {1, 0}};
    free(text);
    json_decref(json);
}

static void tear_down(void)
{
    tokenizer_close(&opened);
}

TestSuite(repeated_tokens, .init = set_up, .fini = tear_down);

Test(repeated_tokens, the_second_copy_is_the_first)
{
    struct repeated_tokens repeated;
    uint32_t ids[N_TOKENS], before[N_TOKENS] = {0};
    cr_assert_eq(repeated_tokens_open(&repeated, &tokenizer, N_TOKENS, 3, &err), ST_OK, "%s",
                 err.text);
    for (uint64_t index = 0; index < 20; index++) {
        cr_assert_eq(repeated_tokens_draw(&repeated, index, ids, &err), ST_OK);
        cr_expect_eq(ids[0], 0, "BOS");
        cr_expect_eq(memcmp(ids + 1, ids + 1 + N_COPY, N_COPY * sizeof *ids), 0);
        for (size_t i = 1; i <= N_COPY; i++)
            for (size_t j = 1; j < i; j++) cr_expect_neq(ids[i], ids[j]);
        cr_expect_neq(memcmp(ids, before, sizeof ids), 0);
        memcpy(before, ids, sizeof ids);
    }
    cr_assert_eq(repeated_tokens_draw(&repeated, 19, ids, &err), ST_OK);
    cr_expect_eq(memcmp(ids, before, sizeof ids), 0, "a sequence depends on its number alone");
    repeated_tokens_close(&repeated);
}

Test(repeated_tokens, lengths_that_cannot_be_are_refused)
{
    static const struct {
        size_t n_tokens;
        const char *why;
    } cases[] = {
        {3, "two copies of at least 2 words behind BOS"},
        {20, "two copies"},
        {65, "the model has 64 positions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct repeated_tokens repeated;
        error_clear(&err);
        cr_expect_eq(repeated_tokens_open(&repeated, &tokenizer, cases[i].n_tokens, 3, &err),
                     ST_BAD_INPUT);
        cr_expect_not_null(strstr(err.text, cases[i].why), "%s", err.text);
    }
}

Test(repeated_tokens, a_small_vocabulary_gives_short_sequences)
{
    struct repeated_tokens repeated;
    tokenizer.n_positions = 128;
    cr_assert_eq(repeated_tokens_open(&repeated, &tokenizer, 63, 3, &err), ST_OK);
    repeated_tokens_close(&repeated);
    cr_expect_eq(repeated_tokens_open(&repeated, &tokenizer, 65, 3, &err), ST_BAD_INPUT);
    cr_expect_str_eq(err.text, "n_tokens is 65: 32 different words are needed, this tokenizer has "
                               "31");
}
