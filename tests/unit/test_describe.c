#include "common/describe.h"

#include "common/evidence_zstd.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct error err;
static const char hex_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void encode(struct buffer *out)
{
    struct wire_text texts[] = {{"a", 1}, {"", 0}, {"\0\xff", 2}};
    struct description description = {
        .family = "gpt2",
        .n_layers = 4,
        .n_heads = 8,
        .n_kv_heads = 2,
        .d_head = 16,
        .d_mlp = 512,
        .d_model = 128,
        .n_vocab = 3,
        .n_positions = 256,
        .bos = 2,
        .eos = UINT32_MAX,
        .adds_bos = true,
        .n_targets = 2,
        .targets = {{.n_features = 16384}, {.n_features = 7, .is_signed = true}},
        .n_tokens = 3,
        .texts = texts};
    memcpy(description.fingerprint, hex_a, sizeof hex_a);
    memcpy(description.targets[0].fingerprint, hex_a, sizeof hex_a);
    buffer_init(out, 1 << 20);
    cr_assert_eq(description_encode(&description, out, &err), ST_OK, "%s", err.text);
}

Test(describe, comes_back_as_it_was)
{
    struct buffer bytes;
    struct description back;
    encode(&bytes);
    cr_assert_eq(description_decode(bytes.bytes, bytes.n_bytes, &back, &err), ST_OK, "%s",
                 err.text);
    cr_expect_str_eq(back.family, "gpt2");
    cr_expect_eq(back.n_vocab, 3);
    cr_expect(back.n_heads == 8 && back.n_kv_heads == 2 && back.d_head == 16);
    cr_expect_eq(back.d_mlp, 512);
    cr_expect_eq(back.bos, 2);
    cr_expect_eq(back.eos, UINT32_MAX);
    cr_expect(back.adds_bos);
    cr_expect_str_eq(back.fingerprint, hex_a);
    cr_expect_str_eq(back.targets[0].fingerprint, hex_a);
    cr_expect_str_eq(back.targets[1].fingerprint, "");
    cr_expect(back.targets[1].is_signed);
    cr_assert_eq(back.n_tokens, 3);
    cr_expect_eq(back.texts[1].n_bytes, 0);
    cr_expect_arr_eq(back.texts[2].bytes, "\0\xff", 2);
    description_fini(&back);
    description_fini(&back);
    buffer_fini(&bytes);
}

Test(describe, refuses_every_truncation_and_leaves_the_output_alone)
{
    struct buffer bytes;
    struct description back = {.n_vocab = 77};
    encode(&bytes);
    for (size_t n = 0; n < bytes.n_bytes; n++) {
        error_clear(&err);
        cr_assert_neq(description_decode(bytes.bytes, n, &back, &err), ST_OK, "%zu bytes", n);
    }
    cr_expect_eq(back.n_vocab, 77);
    buffer_fini(&bytes);
}

static status_t decode_facts(const char *json)
{
    struct wire_text part = wire_text_of(json);
    struct buffer plain, packed;
    struct description back;
    buffer_init(&plain, 1 << 20);
    buffer_init(&packed, 1 << 20);
    error_clear(&err);
    cr_assert_eq(wire_parts_encode(&part, 1, &plain, &err), ST_OK);
    cr_assert_eq(evidence_compress(plain.bytes, plain.n_bytes, &packed, &err), ST_OK);
    const status_t status = description_decode(packed.bytes, packed.n_bytes, &back, &err);
    if (status == ST_OK) description_fini(&back);
    buffer_fini(&plain);
    buffer_fini(&packed);
    return status;
}

#define MODEL(bos, hex)                                                                            \
    "{\"model\":{\"family\":\"f\",\"n_layers\":1,\"n_heads\":1,\"n_kv_heads\":1,\"d_head\":1,"     \
    "\"d_mlp\":1,\"d_model\":1,\"n_vocab\":1,\"n_positions\":1,"                                   \
    "\"bos\":" bos ",\"eos\":null,\"adds_bos\":false,\"fingerprint\":\"" hex "\"},"
#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

Test(describe, refuses_facts_that_are_missing_or_wrong)
{
    cr_expect_eq(decode_facts(MODEL("0", HEX) "\"targets\":[]}"), ST_OK, "%s", err.text);
    static const char *const bad[] = {
        "",
        "[]",
        MODEL("0", HEX) "\"targets\":{}}",
        MODEL("-1", HEX) "\"targets\":[]}",
        MODEL("4294967295", HEX) "\"targets\":[]}",
        MODEL("0", "abc") "\"targets\":[]}",
        MODEL("0", "") "\"targets\":[]}",
        MODEL("0", HEX "a") "\"targets\":[]}",
        MODEL("0", HEX) "\"targets\":[{\"n_features\":0,\"is_signed\":true,\"fingerprint\":\"\"}]}",
        MODEL("0", HEX) "\"targets\":[{\"n_features\":1,\"is_signed\":1,\"fingerprint\":\"\"}]}",
        MODEL("0", HEX) "\"targets\":[{\"n_features\":1,\"is_signed\":true}]}",
        MODEL("0", HEX) "\"targets\":[{\"n_features\":5000000000,\"is_signed\":true,"
                        "\"fingerprint\":\"\"}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(decode_facts(bad[i]), ST_CORRUPT, "%s", bad[i]);
}
