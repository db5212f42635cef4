/* Generated prompts against what HF tokenizers makes of their texts and answers
 * (tests/golden/prompt_sets), for a tokenizer of two-digit numbers, one of single digits, and one
 * that puts a space mark in front of a text. */
#include "worker/prompts/prompt_generator.h"
#include "worker/prompts/user_prompts.h"

#include "coordinator/circuit/prompt_set.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static struct error err;

TestSuite(prompt_sets_golden, .timeout = 60);

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void open_case(const json_t *golden, struct prompt_tokenizer *out)
{
    char path[128];
    struct tokenizer *opened;
    const json_t *bos = json_object_get(golden, "bos");
    const char *name = text_at(golden, "tokenizer");
    if (strcmp(name, "demo") == 0)
        (void)snprintf(path, sizeof path, "config/demo/model");
    else
        (void)snprintf(path, sizeof path, "tests/golden/prompt_sets/%s.tokenizer.json", name);
    error_clear(&err);
    cr_assert_eq(tokenizer_open(&opened, path, &err), ST_OK, "%s", err.text);
    *out = (struct prompt_tokenizer){
        .tokenizer = opened, .n_vocab = tokenizer_vocab_size(opened), .n_positions = 256};
    if (json_is_integer(bos)) out->bos = (struct bos_choice){1, (uint32_t)json_integer_value(bos)};
}

static void expect_ids(const uint32_t *got, size_t n, const json_t *want, const char *what,
                       size_t line)
{
    cr_assert_eq(n, json_array_size(want), "%s of prompt %zu", what, line);
    for (size_t i = 0; i < n; i++)
        cr_expect_eq(got[i], json_integer_value(json_array_get(want, i)), "%s[%zu] of prompt %zu",
                     what, i, line);
}

static void expect_prompts(const struct buffer *made, const json_t *want, uint32_t n_vocab)
{
    struct prompt_set set;
    cr_assert_eq(
        prompt_set_parse(&set, "made", (const char *)made->bytes, made->n_bytes, n_vocab, &err),
        ST_OK, "%s", err.text);
    cr_assert_eq(set.n_prompts, json_array_size(want));
    for (size_t i = 0; i < set.n_prompts; i++) {
        const struct circuit_prompt *prompt = &set.prompts[i];
        const json_t *ids = json_array_get(want, i);
        expect_ids(prompt->clean, prompt->n_tokens, json_array_get(ids, 0), "clean", i);
        expect_ids(prompt->corrupted, prompt->n_tokens, json_array_get(ids, 1), "corrupted", i);
        expect_ids(prompt->answers, prompt->n_answers, json_array_get(ids, 2), "answers", i);
        expect_ids(prompt->distractors, prompt->n_distractors, json_array_get(ids, 3),
                   "distractors", i);
    }
    prompt_set_fini(&set);
}

static void generate(const json_t *golden, const struct prompt_tokenizer *tokenizer,
                     struct buffer *out)
{
    struct prompt_request request = {
        .corruption = text_at(golden, "corruption"),
        .n_prompts = (size_t)json_integer_value(json_object_get(golden, "n_prompts")),
        .n_tokens = (size_t)json_integer_value(json_object_get(golden, "n_tokens")),
        .seed = (uint64_t)json_integer_value(json_object_get(golden, "seed"))};
    cr_assert_eq(prompt_generator_parse(text_at(golden, "generator"), &request.generator, &err),
                 ST_OK);
    buffer_init(out, PROMPTS_MAX_RESULT_BYTES);
    cr_assert_eq(prompt_generator_run(&request, tokenizer, out, &err), ST_OK, "%s", err.text);
}

/* The made lines with texts in the place of ids, as a user would write them. */
static void write_as_texts(const struct buffer *made, const struct tokenizer *tokenizer,
                           struct buffer *out)
{
    const char *at = (const char *)made->bytes, *end = at + made->n_bytes;
    buffer_init(out, PROMPTS_MAX_FILE_BYTES);
    while (at < end) {
        json_t *line = json_loadb(
            at, (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at), 0, NULL);
        static const char *const sides[] = {"answers", "distractors"};
        for (size_t s = 0; s < 2; s++) {
            const json_t *ids = json_object_get(line, sides[s]);
            json_t *texts = json_array();
            for (size_t i = 0; i < json_array_size(ids); i++) {
                struct buffer text;
                buffer_init(&text, 4096);
                cr_assert_eq(tokenizer_token_text(
                                 tokenizer, (uint32_t)json_integer_value(json_array_get(ids, i)),
                                 &text, &err),
                             ST_OK);
                (void)json_array_append_new(texts, json_stringn((char *)text.bytes, text.n_bytes));
                buffer_fini(&text);
            }
            (void)json_object_set_new(line, sides[s], texts);
        }
        (void)json_object_set(line, "clean", json_object_get(line, "clean_text"));
        (void)json_object_set(line, "corrupted", json_object_get(line, "corrupted_text"));
        char *dumped = json_dumps(line, JSON_COMPACT);
        cr_assert_eq(buffer_printf(out, &err, "%s\n", dumped), ST_OK);
        free(dumped);
        json_decref(line);
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    }
}

Test(prompt_sets_golden, ids_are_those_of_hf_tokenizers)
{
    json_t *cases = json_load_file("tests/golden/prompt_sets/cases.json", 0, NULL);
    cr_assert_geq(json_array_size(cases), 17);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *golden = json_array_get(cases, i);
        struct prompt_tokenizer tokenizer;
        struct buffer made, texts, again;
        open_case(golden, &tokenizer);
        generate(golden, &tokenizer, &made);
        expect_prompts(&made, json_object_get(golden, "prompts"), (uint32_t)tokenizer.n_vocab);
        write_as_texts(&made, tokenizer.tokenizer, &texts);
        buffer_init(&again, PROMPTS_MAX_RESULT_BYTES);
        cr_assert_eq(user_prompts_tokenize(&tokenizer, "texts", (const char *)texts.bytes,
                                           texts.n_bytes, &again, &err),
                     ST_OK, "case %zu: %s", i, err.text);
        expect_prompts(&again, json_object_get(golden, "prompts"), (uint32_t)tokenizer.n_vocab);
        buffer_fini(&made);
        buffer_fini(&texts);
        buffer_fini(&again);
        tokenizer_close((struct tokenizer **)(uintptr_t)&tokenizer.tokenizer);
    }
    json_decref(cases);
}

/* As Llama-3 has it: every number of two and of three digits from 110 to 179 is a token. */
static void write_threes(struct buffer *out)
{
    uint32_t id = 13;
    status_t status = buffer_append_text(
        out,
        "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, "
        "\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"vocab\": "
        "{\"0\": 0, \"1\": 1, \"2\": 2, \"3\": 3, \"4\": 4, \"5\": 5, \"6\": 6, \"7\": 7, "
        "\"8\": 8, \"9\": 9, \"s\": 10, \"o\": 11, \"\u0120\": 12",
        &err);
    for (unsigned i = 11; i < 18 && status == ST_OK; i++)
        status = buffer_printf(out, &err, ", \"%u\": %u", i, id++);
    for (unsigned i = 110; i < 180 && status == ST_OK; i++)
        status = buffer_printf(out, &err, ", \"%u\": %u", i, id++);
    if (status == ST_OK) status = buffer_append_text(out, "}, \"merges\": [\"1 1\"", &err);
    for (unsigned i = 12; i < 18 && status == ST_OK; i++)
        status = buffer_printf(out, &err, ", \"1 %u\"", i % 10);
    for (unsigned i = 110; i < 180 && status == ST_OK; i++)
        status = buffer_printf(out, &err, ", \"%u %u\"", i / 10, i % 10);
    if (status == ST_OK) status = buffer_append_text(out, "]}}", &err);
    cr_assert_eq(status, ST_OK, "%s", err.text);
}

Test(prompt_sets_golden, years_of_three_digits_are_refused_with_their_spelling)
{
    struct tokenizer *opened;
    struct buffer json, out;
    error_clear(&err);
    buffer_init(&json, 65536);
    buffer_init(&out, 4096);
    write_threes(&json);
    cr_assert_eq(tokenizer_parse(&opened, (const char *)json.bytes, json.n_bytes, &err), ST_OK,
                 "%s", err.text);
    const struct prompt_tokenizer tokenizer = {
        .tokenizer = opened, .n_vocab = tokenizer_vocab_size(opened), .n_positions = 256};
    const struct prompt_request request = {.generator = GENERATOR_GREATER_THAN, .n_prompts = 4};
    cr_expect_eq(prompt_generator_run(&request, &tokenizer, &out, &err), ST_BAD_INPUT);
    cr_expect_not_null(strstr(err.text, "this tokenizer writes \"s|o| |173|2\""), "%s", err.text);
    buffer_fini(&json);
    buffer_fini(&out);
    tokenizer_close(&opened);
}
