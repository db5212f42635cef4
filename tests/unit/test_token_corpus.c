#include "coordinator/plan/token_corpus.h"

#include "common/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct token_corpus *make_corpus(uint32_t largest)
{
    struct token_corpus *corpus = NULL;
    struct error err = {.status = ST_OK};
    const uint32_t a[] = {1, 2, 3}, b[] = {65535, largest}, c[] = {9};
    cr_assert_eq(token_corpus_create(&corpus, &err), ST_OK);
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
    cr_assert(token_corpus_read(corpus, 0, 1, 2, tokens));
    cr_expect(tokens[0] == 2 && tokens[1] == 3);
    cr_assert(token_corpus_read(corpus, 1, 0, 2, tokens));
    cr_expect(tokens[0] == 65535 && tokens[1] == largest);
    cr_expect_eq(token_corpus_keys(corpus).n_documents, 3);
    cr_expect_eq(token_corpus_keys(corpus).key[1], b.key);
}

Test(token_corpus, keeps_documents_in_two_and_in_four_bytes)
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
    cr_expect_not(token_corpus_read(corpus, 0, 0, 4, tokens));
    cr_expect_not(token_corpus_read(corpus, 0, 4, 0, tokens));
    cr_expect_not(token_corpus_read(corpus, 3, 0, 1, tokens));
    cr_expect_not(token_corpus_read(corpus, 0, 2, SIZE_MAX, tokens));
    cr_expect(token_corpus_read(corpus, 0, 3, 0, tokens));
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

Test(token_corpus, file_round_trip_is_canonical)
{
    static const uint32_t cases[] = {4, 70000};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct token_corpus *corpus = make_corpus(cases[i]), *again = NULL;
        struct buffer bytes, bytes_again;
        struct error err = {.status = ST_OK};
        buffer_init(&bytes, 1 << 20);
        buffer_init(&bytes_again, 1 << 20);
        cr_assert_eq(token_corpus_encode(corpus, &bytes, &err), ST_OK, "%s", err.text);
        cr_assert_eq(token_corpus_decode(&again, bytes.bytes, bytes.n_bytes, &err), ST_OK, "%s",
                     err.text);
        expect_contents(again, cases[i]);
        cr_assert_eq(token_corpus_encode(again, &bytes_again, &err), ST_OK);
        cr_assert_eq(bytes.n_bytes, bytes_again.n_bytes);
        cr_expect_eq(memcmp(bytes.bytes, bytes_again.bytes, bytes.n_bytes), 0);
        buffer_fini(&bytes);
        buffer_fini(&bytes_again);
        token_corpus_destroy(&corpus);
        token_corpus_destroy(&again);
    }
}

Test(token_corpus, every_truncation_and_flipped_byte_is_refused_or_harmless)
{
    struct token_corpus *corpus = make_corpus(70000), *again = NULL;
    struct buffer bytes;
    struct error err = {.status = ST_OK};
    buffer_init(&bytes, 1 << 20);
    cr_assert_eq(token_corpus_encode(corpus, &bytes, &err), ST_OK);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_expect_neq(token_corpus_decode(&again, bytes.bytes, n, &err), ST_OK, "%zu bytes", n);
        cr_expect_null(again);
    }
    for (size_t i = 0; i < bytes.n_bytes; i++) {
        error_clear(&err);
        bytes.bytes[i] ^= 0x41;
        if (token_corpus_decode(&again, bytes.bytes, bytes.n_bytes, &err) == ST_OK)
            token_corpus_destroy(&again);
        else
            cr_expect_neq(err.text[0], '\0');
        bytes.bytes[i] ^= 0x41;
    }
    bytes.bytes[4] = 9;
    error_clear(&err);
    cr_expect_eq(token_corpus_decode(&again, bytes.bytes, bytes.n_bytes, &err), ST_PROTOCOL);
    buffer_fini(&bytes);
    token_corpus_destroy(&corpus);
}
