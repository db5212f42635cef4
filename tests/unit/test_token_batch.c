#include "common/token_batch.h"

#include "common/evidence_zstd.h"

#include <criterion/criterion.h>
#include <string.h>

static struct error err;

static void encode(const struct token_batch *batch, struct buffer *out)
{
    error_clear(&err);
    buffer_init(out, 1 << 20);
    cr_assert_eq(token_batch_encode(batch, out, &err), ST_OK, "%s", err.text);
}

Test(token_batch, tokens_come_back_by_document)
{
    uint32_t n_tokens[] = {2, 0, 3}, tokens[] = {7, UINT32_MAX, 1, 2, 3};
    const struct token_batch batch = {3, n_tokens, 5, tokens};
    struct token_batch back;
    struct buffer bytes;
    encode(&batch, &bytes);
    cr_assert_eq(token_batch_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s",
                 err.text);
    cr_assert_eq(back.n_documents, 3);
    cr_assert_eq(back.n_all_tokens, 5);
    cr_expect_arr_eq(back.n_tokens, n_tokens, sizeof n_tokens);
    cr_expect_arr_eq(back.tokens, tokens, sizeof tokens);
    token_batch_fini(&back);
    token_batch_fini(&back);
    buffer_fini(&bytes);
}

Test(token_batch, texts_come_back_with_any_bytes)
{
    const struct wire_text texts[] = {{"caf\xc3\xa9", 5}, {"", 0}, {"\0\xff", 2}};
    struct wire_parts back;
    struct buffer bytes, plain;
    buffer_init(&bytes, 1 << 20);
    buffer_init(&plain, TOKEN_BATCH_MAX_BYTES);
    cr_assert_eq(token_batch_encode_texts(texts, 3, &bytes, &err), ST_OK);
    cr_assert_eq(token_batch_decode_texts(bytes.bytes, bytes.n_bytes, &plain, &back, &err), ST_OK);
    cr_assert_eq(back.n, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(wire_part(&back, i).n_bytes, texts[i].n_bytes);
        cr_expect(memcmp(wire_part(&back, i).bytes, texts[i].bytes, texts[i].n_bytes) == 0);
    }
    buffer_fini(&plain);
    buffer_fini(&bytes);
}

Test(token_batch, every_truncation_is_refused)
{
    uint32_t n_tokens[] = {2}, tokens[] = {7, 8};
    const struct token_batch batch = {1, n_tokens, 2, tokens};
    struct token_batch back = {.n_documents = 77};
    struct buffer bytes;
    encode(&batch, &bytes);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_assert_neq(token_batch_decode(bytes.bytes, n, &back, &err), ST_OK, "%zu", n);
    }
    cr_expect_eq(back.n_documents, 77);
    buffer_fini(&bytes);
}

Test(token_batch, counts_that_do_not_add_up_are_refused)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t n;
    } cases[] = {
        {"nothing", "", 0},
        {"documents that are not there", "\xff\xff\xff\xff", 4},
        {"tokens that are not there", "\1\0\0\0\1\0\0\0", 8},
        {"a token too many", "\1\0\0\0\0\0\0\0\5\0\0\0", 12},
        {"a sum that wraps in 32 bits", "\2\0\0\0\xff\xff\xff\xff\2\0\0\0\5\0\0\0", 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer packed;
        struct token_batch back;
        error_clear(&err);
        buffer_init(&packed, 1 << 20);
        cr_assert_eq(evidence_compress(cases[i].bytes, cases[i].n, &packed, &err), ST_OK);
        cr_expect_eq(token_batch_decode(packed.bytes, packed.n_bytes, &back, &err), ST_CORRUPT,
                     "%s", cases[i].what);
        buffer_fini(&packed);
    }
}
