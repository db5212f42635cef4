#include "coordinator/plan/token_corpus.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct token_corpus *make_corpus(uint32_t largest)
{
    struct token_corpus *corpus = NULL;
    struct error err = {.status = ST_OK};
    const uint32_t a[] = {1, 2, 3}, b[] = {65535, largest}, c[] = {9};
    cr_assert_eq(token_corpus_create(&corpus, "/tmp", &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 0, "a", a, 3, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 0, "b \xc3\xa9", b, 2, &err), ST_OK);
    cr_assert_eq(token_corpus_add(corpus, 2, "c", c, 1, &err), ST_OK);
    return corpus;
}

static void expect_contents(const struct token_corpus *corpus, uint32_t largest)
{
    uint32_t tokens[3];
    cr_assert_eq(token_corpus_n_documents(corpus), 3);
    cr_expect_eq(token_corpus_n_tokens(corpus), 6);
    cr_expect_eq(token_corpus_max_token(corpus), largest > 65535 ? largest : 65535);
    const struct token_document b = token_corpus_document(corpus, 1);
    cr_expect_str_eq(b.id, "b \xc3\xa9");
    cr_expect_eq(b.key, hash_name64(b.id, strlen(b.id)));
    cr_expect_eq(b.n_tokens, 2);
    cr_expect_eq(token_corpus_document(corpus, 2).corpus_index, 2);
    cr_assert_eq(token_corpus_read(corpus, 0, 1, 2, tokens, NULL), ST_OK);
    cr_expect(tokens[0] == 2 && tokens[1] == 3);
    cr_assert_eq(token_corpus_read(corpus, 1, 0, 2, tokens, NULL), ST_OK);
    cr_expect(tokens[0] == 65535 && tokens[1] == largest);
    cr_expect_eq(token_corpus_keys(corpus).n_documents, 3);
    cr_expect_eq(token_corpus_keys(corpus).key[1], b.key);
}

Test(token_corpus, keeps_documents_whatever_their_tokens)
{
    static const uint32_t cases[] = {4, 65535, 65536, 1u << 30};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct token_corpus *corpus = make_corpus(cases[i]);
        expect_contents(corpus, cases[i]);
        token_corpus_destroy(&corpus);
        cr_expect_null(corpus);
    }
}

Test(token_corpus, reads_outside_a_document_are_refused)
{
    struct token_corpus *corpus = make_corpus(4);
    uint32_t tokens[8];
    cr_expect_eq(token_corpus_read(corpus, 0, 0, 4, tokens, NULL), ST_CORRUPT);
    cr_expect_eq(token_corpus_read(corpus, 0, 4, 0, tokens, NULL), ST_CORRUPT);
    cr_expect_eq(token_corpus_read(corpus, 3, 0, 1, tokens, NULL), ST_CORRUPT);
    cr_expect_eq(token_corpus_read(corpus, 0, 2, SIZE_MAX, tokens, NULL), ST_CORRUPT);
    cr_expect_eq(token_corpus_read(corpus, 0, 3, 0, tokens, NULL), ST_OK);
    token_corpus_destroy(&corpus);
}

Test(token_corpus, odd_documents_are_refused)
{
    struct token_corpus *corpus = make_corpus(4);
    const uint32_t tokens[] = {1};
    struct error err = {.status = ST_OK};
    cr_expect_eq(token_corpus_add(corpus, 0, "late", tokens, 1, &err), ST_BAD_INPUT);
    cr_expect_eq(token_corpus_add(corpus, 2, "", tokens, 1, &err), ST_BAD_INPUT);
    cr_expect_eq(token_corpus_add(corpus, 2, "none", tokens, 0, &err), ST_BAD_INPUT);
    cr_expect_eq(token_corpus_add(corpus, 64, "far", tokens, 1, &err), ST_BAD_INPUT);
    expect_contents(corpus, 4);
    token_corpus_destroy(&corpus);
}

/* Reads across what is on disk and what still waits to be written, in any order. */
Test(token_corpus, long_documents_are_read_back_from_disk)
{
    enum { N_DOCUMENTS = 40, N_TOKENS = 1999, LONG = 50000 };
    struct token_corpus *corpus = NULL;
    struct error err = {.status = ST_OK};
    uint32_t *tokens = malloc(LONG * sizeof *tokens);
    cr_assert_eq(token_corpus_create(&corpus, "/tmp", &err), ST_OK, "%s", err.text);
    for (uint32_t d = 0; d < N_DOCUMENTS; d++) {
        const uint32_t n = d == 7 ? LONG : N_TOKENS;
        char id[16];
        (void)snprintf(id, sizeof id, "%u", d);
        for (uint32_t i = 0; i < n; i++) tokens[i] = d << 20 | i;
        cr_assert_eq(token_corpus_add(corpus, 0, id, tokens, n, &err), ST_OK, "%s", err.text);
    }
    for (uint32_t d = N_DOCUMENTS; d-- > 0;) {
        const uint32_t n = token_corpus_document(corpus, d).n_tokens;
        cr_assert_eq(token_corpus_read(corpus, d, 1, n - 1, tokens, &err), ST_OK, "%s", err.text);
        for (uint32_t i = 1; i < n; i++) cr_assert_eq(tokens[i - 1], d << 20 | i);
    }
    token_corpus_destroy(&corpus);
    free(tokens);
}

Test(token_corpus, a_directory_that_is_not_there_is_named)
{
    struct token_corpus *corpus = NULL;
    struct error err = {.status = ST_OK};
    cr_expect_eq(token_corpus_create(&corpus, "/nowhere/at/all", &err), ST_IO);
    cr_expect(strstr(err.text, "/nowhere/at/all"), "%s", err.text);
    cr_expect_null(corpus);
}
