/* Ids and texts of HF tokenizers, string for string: see tests/golden/README.md. */
#include "worker/model/tokenizer.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <zlib.h>

enum { PATH_BYTES = 256, LINE_BYTES = 1 << 20 };

/* Decode base64 in place; returns the number of bytes. */
static size_t decode_base64(char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;
    for (const char *c = text; *c && *c != '='; c++) {
        const char *letter = strchr(letters, *c);
        cr_assert_not_null(letter);
        bits = bits << 6 | (unsigned)(letter - letters);
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        text[n++] = (char)(bits >> n_bits);
    }
    return n;
}

/* The next line's object (gzopen reads plain files too); NULL at the end. */
static json_t *next_object(gzFile file)
{
    static char line[LINE_BYTES];
    if (!gzgets(file, line, sizeof line)) return NULL;
    json_error_t where;
    json_t *object = json_loads(line, 0, &where);
    cr_assert_not_null(object, "%s", where.text);
    return object;
}

static size_t base64_of(const json_t *object, char *out)
{
    const char *text = json_string_value(json_object_get(object, "b64"));
    cr_assert(text && strlen(text) < LINE_BYTES);
    memcpy(out, text, strlen(text) + 1);
    return decode_base64(out);
}

static gzFile open_golden(const char *name, const char *file)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s%s", name, file);
    gzFile golden = gzopen(path, "rb");
    cr_assert_not_null(golden, "%s", path);
    return golden;
}

static struct tokenizer *open_tokenizer(const char *name)
{
    char path[PATH_BYTES];
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s", name);
    cr_assert_eq(tokenizer_open(&tokenizer, path, &err), ST_OK, "%s", err.text);
    return tokenizer;
}

static bool ids_equal(const struct token_list *got, const json_t *want)
{
    if (got->n_ids != json_array_size(want)) return false;
    for (size_t i = 0; i < got->n_ids; i++)
        if (json_integer_value(json_array_get(want, i)) != got->ids[i]) return false;
    return true;
}

static void expect_ids(const struct tokenizer *tokenizer, const char *name, size_t number,
                       bool add_special, const char *text, size_t n_bytes, const json_t *want)
{
    struct error err = {0};
    struct token_list got = {0};
    cr_assert_eq(tokenizer_encode(tokenizer, text, n_bytes, add_special, &got, &err), ST_OK,
                 "%s string %zu: %s", name, number, err.text);
    char *wanted = json_dumps(want, JSON_COMPACT);
    cr_expect(ids_equal(&got, want), "%s string %zu (special %d): %.*s want %.200s got %zu: %u..",
              name, number, add_special, (int)(n_bytes > 60 ? 60 : n_bytes), text, wanted,
              got.n_ids, got.n_ids ? got.ids[0] : 0);
    free(wanted);
    token_list_fini(&got);
}

static void expect_text(const struct tokenizer *tokenizer, const char *name, size_t number,
                        const json_t *ids, const char *want, size_t n_want)
{
    struct error err = {0};
    struct buffer got;
    struct token_list list = {0};
    buffer_init(&got, LINE_BYTES);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const uint32_t id = (uint32_t)json_integer_value(json_array_get(ids, i));
        cr_assert_eq(token_list_append(&list, &id, 1, NULL), ST_OK);
    }
    cr_assert_eq(tokenizer_decode(tokenizer, list.ids, list.n_ids, &got, &err), ST_OK,
                 "%s ids %zu: %s", name, number, err.text);
    cr_expect(got.n_bytes == n_want && (n_want == 0 || memcmp(got.bytes, want, n_want) == 0),
              "%s ids %zu: want '%.*s' got '%.*s'", name, number, (int)n_want, want,
              (int)got.n_bytes, (const char *)got.bytes);
    token_list_fini(&list);
    buffer_fini(&got);
}

/* Every string: ids without and with special tokens, and the text of the ids. */
static size_t check_encoded(const struct tokenizer *tokenizer, const char *name)
{
    static char text[LINE_BYTES], decoded[LINE_BYTES];
    size_t n_strings = 0;
    gzFile strings = open_golden("", "strings.jsonl");
    gzFile encoded = open_golden(name, "/encoded.jsonl.gz");
    for (json_t *input; (input = next_object(strings)); n_strings++) {
        json_t *want = next_object(encoded);
        cr_assert_not_null(want);
        const size_t n_bytes = base64_of(input, text);
        const json_t *ids = json_object_get(want, "ids");
        const json_t *special = json_object_get(want, "special");
        expect_ids(tokenizer, name, n_strings, false, text, n_bytes, ids);
        expect_ids(tokenizer, name, n_strings, true, text, n_bytes,
                   json_is_null(special) ? ids : special);
        expect_text(tokenizer, name, n_strings, ids, decoded, base64_of(want, decoded));
        json_decref(want);
        json_decref(input);
    }
    (void)gzclose(strings);
    (void)gzclose(encoded);
    return n_strings;
}

static size_t check_decoded(const struct tokenizer *tokenizer, const char *name)
{
    static char text[LINE_BYTES];
    size_t n_lines = 0;
    gzFile decoded = open_golden(name, "/decoded.jsonl.gz");
    for (json_t *want; (want = next_object(decoded)); n_lines++) {
        expect_text(tokenizer, name, n_lines, json_object_get(want, "ids"), text,
                    base64_of(want, text));
        json_decref(want);
    }
    (void)gzclose(decoded);
    return n_lines;
}

static void check_golden(const char *name)
{
    struct tokenizer *tokenizer = open_tokenizer(name);
    cr_expect_geq(check_encoded(tokenizer, name), 1400u);
    cr_expect_geq(check_decoded(tokenizer, name), 200u);
    tokenizer_close(&tokenizer);
    cr_expect_null(tokenizer);
}

Test(tokenizer_golden, gpt2)
{
    check_golden("gpt2");
}

Test(tokenizer_golden, gpt2_with_added_tokens)
{
    check_golden("gpt2-added");
}

Test(tokenizer_golden, llama3)
{
    check_golden("llama3");
}

Test(tokenizer_golden, smollm2)
{
    check_golden("smollm2");
}

Test(tokenizer_golden, llama2)
{
    check_golden("llama2");
}

Test(tokenizer_golden, llama2_with_added_tokens)
{
    check_golden("llama2-added");
}

Test(tokenizer_golden, llama2_metaspace_first)
{
    check_golden("llama2-metaspace-first");
}

Test(tokenizer_golden, metaspace_always)
{
    check_golden("metaspace-always");
}

Test(tokenizer_golden, qwen2_nfc)
{
    check_golden("qwen2-nfc");
}
