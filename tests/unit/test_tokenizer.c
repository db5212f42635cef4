#include "tests/support/malformed_cases.h"
#include "worker/model/tokenizer.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static struct tokenizer *open_golden(const char *name)
{
    char path[256];
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    (void)snprintf(path, sizeof path, "tests/golden/tokenizers/%s", name);
    cr_assert_eq(tokenizer_open(&tokenizer, path, &err), ST_OK, "%s", err.text);
    return tokenizer;
}

/* A tokenizer of a few tokens; `more` adds or replaces nothing but follows the model. ' is ". */
static status_t parse_small(struct tokenizer **out, const char *more, struct error *err)
{
    char json[1024];
    (void)snprintf(json, sizeof json,
                   "{'model':{'type':'BPE','vocab':{'a':0,'b':1,'ab':2,'<s>':3,'<0x41>':5},"
                   "'merges':['a b']}%s%s}",
                   more[0] ? "," : "", more);
    for (char *c = json; (c = strchr(c, '\''));) *c = '"';
    return tokenizer_parse(out, json, strlen(json), err);
}

Test(tokenizer, golden_malformed_files_are_refused_and_the_valid_one_accepted)
{
    json_t *root, *says;
    const char *name;
    json_t *cases = malformed_cases("tokenizers", &root);
    cr_expect_geq(json_object_size(cases), 20u);
    json_object_foreach(cases, name, says)
    {
        char path[256];
        struct error err = {0};
        struct tokenizer *tokenizer = NULL;
        (void)snprintf(path, sizeof path, "tests/golden/malformed/tokenizers/%s", name);
        const status_t status = tokenizer_open(&tokenizer, path, &err);
        cr_expect_eq(status == ST_OK, json_is_null(says), "%s: %s", name, err.text);
        if (status != ST_OK)
            cr_expect(malformed_says(err.text, json_string_value(says)), "%s: %s", name, err.text);
        tokenizer_close(&tokenizer);
    }
    json_decref(root);
}

Test(tokenizer, contradictions_in_a_file_are_refused)
{
    static const struct {
        const char *more, *says;
        status_t want;
    } cases[] = {
        {"'added_tokens':[{'id':4,'content':'a'}]", "vocabulary says 0", ST_CORRUPT},
        {"'added_tokens':[{'id':0,'content':'x'}]", "belongs to 'a'", ST_CORRUPT},
        {"'added_tokens':[{'id':7,'content':'x'},{'id':8,'content':'x'}]", "7 and 8", ST_CORRUPT},
        {"'added_tokens':[{'id':7,'content':'x'},{'id':7,'content':'y'}]", "share the id 7",
         ST_CORRUPT},
        {"'added_tokens':[{'content':'x'}]", "added_tokens[0]", ST_TOO_LARGE},
        {"'added_tokens':{}", "added_tokens", ST_CORRUPT},
        {"'added_tokens':[{'id':7,'content':'x','lstrip':1}]", "lstrip", ST_CORRUPT},
        {"'post_processor':{'type':'TemplateProcessing','single':[{'Sequence':{}}],"
         "'special_tokens':{}},'decoder':{'type':'WordPiece'}",
         "WordPiece", ST_UNSUPPORTED},
        {"'post_processor':{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'q'}}]}",
         "'q'", ST_CORRUPT},
        {"'post_processor':{'type':'TemplateProcessing','single':[]}", "0 times", ST_UNSUPPORTED},
        {"'post_processor':{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'q'}},"
         "{'Sequence':{}}],'special_tokens':{'q':{'ids':[99]}}}",
         "99", ST_CORRUPT},
        {"'normalizer':{'type':'Prepend','prepend':'x'},'pre_tokenizer':{'type':'Metaspace',"
         "'prepend_scheme':'first'}",
         "first", ST_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct tokenizer *tokenizer = NULL;
        cr_expect_eq(parse_small(&tokenizer, cases[i].more, &err), cases[i].want, "%s: %s",
                     cases[i].more, err.text);
        cr_expect(strstr(err.text, cases[i].says), "%s: %s", cases[i].more, err.text);
        cr_expect_null(tokenizer);
    }
}

Test(tokenizer, ids_and_strings_are_looked_up_both_ways)
{
    uint32_t id = 77;
    struct tokenizer *tokenizer = open_golden("gpt2-added");
    cr_expect_eq(tokenizer_vocab_size(tokenizer), 810u);
    cr_expect(tokenizer_find(tokenizer, "<mask>", &id) && id == 801);
    cr_expect_not(tokenizer_find(tokenizer, "<no such>", &id));
    cr_expect_eq(id, 801u);
    cr_expect(tokenizer_is_special(tokenizer, 800));
    cr_expect_not(tokenizer_is_special(tokenizer, 804), "added, but not special");
    cr_expect_not(tokenizer_is_special(tokenizer, 5));
    tokenizer_close(&tokenizer);
}

Test(tokenizer, ends_of_a_text_come_from_template_and_usual_names)
{
    uint32_t id = 0;
    struct tokenizer *llama = open_golden("llama3");
    cr_expect(tokenizer_bos(llama, &id) && id == 1608);
    cr_expect(tokenizer_adds_bos(llama));
    cr_expect(tokenizer_eos(llama, &id) && id == 1609);
    tokenizer_close(&llama);
    struct tokenizer *gpt2 = open_golden("gpt2");
    cr_expect(tokenizer_bos(gpt2, &id) && id == 1400);
    cr_expect_not(tokenizer_adds_bos(gpt2));
    tokenizer_close(&gpt2);
    struct tokenizer *small = NULL;
    cr_assert_eq(parse_small(&small, "", NULL), ST_OK);
    cr_expect(tokenizer_bos(small, &id) && id == 3);
    cr_expect_not(tokenizer_eos(small, &id));
    tokenizer_close(&small);
}

static void write_text(const char *directory, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (; *text; text++) (void)fputc(*text == '\'' ? '"' : *text, file);
    cr_assert_eq(fclose(file), 0);
}

static void remove_file(const char *directory, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    (void)unlink(path);
}

Test(tokenizer, config_files_beside_it_name_the_ends_first)
{
    uint32_t id = 0;
    struct error err = {0};
    char directory[] = "/tmp/test-tokenizer.XXXXXX";
    struct tokenizer *tokenizer = NULL;
    cr_assert_not_null(mkdtemp(directory));
    write_text(directory, "tokenizer.json",
               "{'model':{'type':'BPE','vocab':{'a':0,'b':1,'<s>':2},'merges':[]}}");
    write_text(directory, "tokenizer_config.json",
               "{'bos_token':{'content':'a'},'eos_token':null}");
    write_text(directory, "config.json", "{'bos_token_id':2,'eos_token_id':[1,0]}");
    cr_assert_eq(tokenizer_open(&tokenizer, directory, &err), ST_OK, "%s", err.text);
    cr_expect(tokenizer_bos(tokenizer, &id) && id == 0);
    cr_expect(tokenizer_eos(tokenizer, &id) && id == 1);
    tokenizer_close(&tokenizer);
    write_text(directory, "config.json", "{'bos_token_id':");
    cr_expect_eq(tokenizer_open(&tokenizer, directory, &err), ST_CORRUPT);
    cr_expect(strstr(err.text, "config.json"), "%s", err.text);
    remove_file(directory, "tokenizer.json");
    remove_file(directory, "tokenizer_config.json");
    remove_file(directory, "config.json");
    cr_expect_eq(rmdir(directory), 0);
}

static void expect_texts_join(const char *name, const char *text, size_t n_skipped)
{
    struct tokenizer *tokenizer = open_golden(name);
    struct token_list ids = {0};
    struct buffer joined;
    buffer_init(&joined, 1 << 16);
    cr_assert_eq(tokenizer_encode(tokenizer, text, strlen(text), false, &ids, NULL), ST_OK);
    for (size_t i = 0; i < ids.n_ids; i++)
        cr_assert_eq(tokenizer_token_text(tokenizer, ids.ids[i], &joined, NULL), ST_OK);
    cr_expect_str_eq(buffer_text(&joined) + n_skipped, text, "%s", name);
    buffer_fini(&joined);
    token_list_fini(&ids);
    tokenizer_close(&tokenizer);
}

Test(tokenizer, texts_of_the_tokens_join_to_the_text)
{
    static const char text[] = "Hello  wörld, 漢字 😀👩‍💻! 123\n\t<|endoftext|> end ";
    expect_texts_join("gpt2", text, 0);
    expect_texts_join("llama3", text, 0);
    expect_texts_join("smollm2", text, 0);
    expect_texts_join("llama2", text, 1); /* the space that the normalizer puts in front */
    expect_texts_join("llama2-metaspace-first", text, 1);
}

Test(tokenizer, ids_that_are_no_token_are_refused_by_number)
{
    struct buffer out;
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    const uint32_t ids[3] = {0, 4, 1}; /* 4 is a hole */
    buffer_init(&out, 64);
    cr_assert_eq(buffer_append(&out, "x", 1, NULL), ST_OK);
    cr_assert_eq(parse_small(&tokenizer, "", NULL), ST_OK);
    cr_expect_eq(tokenizer_decode(tokenizer, ids, 3, &out, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "4 is no token"), "%s", err.text);
    cr_expect_eq(tokenizer_token_text(tokenizer, UINT32_MAX, &out, NULL), ST_BAD_INPUT);
    cr_expect_eq(out.n_bytes, 1u, "what was there stays alone");
    tokenizer_close(&tokenizer);
    buffer_fini(&out);
}

Test(tokenizer, encode_appends_and_a_text_over_the_cap_leaves_the_list_as_it_was)
{
    struct token_list ids = {0};
    struct error err = {0};
    struct tokenizer *tokenizer = NULL;
    cr_assert_eq(parse_small(&tokenizer, "", NULL), ST_OK);
    cr_assert_eq(tokenizer_encode(tokenizer, "ab", 2, false, &ids, &err), ST_OK);
    cr_assert_eq(tokenizer_encode(tokenizer, "bzA", 3, true, &ids, &err), ST_OK);
    cr_assert_eq(ids.n_ids, 2u);
    cr_expect(ids.ids[0] == 2 && ids.ids[1] == 1, "unknown characters without unk vanish");
    cr_expect_eq(
        tokenizer_encode(tokenizer, "ab", TOKENIZER_MAX_TEXT_BYTES + 1u, false, &ids, &err),
        ST_TOO_LARGE);
    cr_expect_eq(ids.n_ids, 2u);
    token_list_fini(&ids);
    tokenizer_close(&tokenizer);
}

static void encode_run(const char *name, const char *unit, size_t n_bytes)
{
    struct tokenizer *tokenizer = open_golden(name);
    const size_t n_unit = strlen(unit);
    char *text = malloc(n_bytes);
    struct token_list ids = {0};
    struct buffer back;
    cr_assert_not_null(text);
    n_bytes -= n_bytes % n_unit;
    for (size_t i = 0; i < n_bytes; i++) text[i] = unit[i % n_unit];
    buffer_init(&back, 1 << 26);
    cr_assert_eq(tokenizer_encode(tokenizer, text, n_bytes, false, &ids, NULL), ST_OK);
    cr_assert_eq(tokenizer_decode(tokenizer, ids.ids, ids.n_ids, &back, NULL), ST_OK);
    cr_expect(back.n_bytes == n_bytes && memcmp(back.bytes, text, n_bytes) == 0, "%s %s", name,
              unit);
    buffer_fini(&back);
    token_list_fini(&ids);
    free(text);
    tokenizer_close(&tokenizer);
}

/* A merge that is quadratic in the word's length would need an hour for these. */
Test(tokenizer, a_megabyte_of_one_letter_costs_no_more_than_other_text, .timeout = 60)
{
    static const char *const names[] = {"gpt2", "llama3", "llama2"};
    static const char *const units[] = {"a", " ", "ab", "\n", "漢", "<", "7"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++)
            encode_run(names[n], units[u], 1 << 20);
}

struct encoding_thread {
    pthread_t thread;
    const struct tokenizer *tokenizer;
    struct token_list ids;
};

static void *encode_in_thread(void *argument)
{
    struct encoding_thread *self = argument;
    for (unsigned i = 0; i < 2000; i++) {
        char text[64];
        const int n = snprintf(text, sizeof text, "word%u and number %u <mask> é%u", i % 700, i, i);
        if (tokenizer_encode(self->tokenizer, text, (size_t)n, true, &self->ids, NULL) != ST_OK)
            break;
    }
    return NULL;
}

Test(tokenizer, threads_at_once_get_the_same_ids, .timeout = 60)
{
    struct encoding_thread threads[4] = {0};
    struct tokenizer *tokenizer = open_golden("gpt2-added");
    for (size_t i = 0; i < 4; i++) {
        threads[i].tokenizer = tokenizer;
        cr_assert_eq(pthread_create(&threads[i].thread, NULL, encode_in_thread, &threads[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) cr_assert_eq(pthread_join(threads[i].thread, NULL), 0);
    cr_expect_gt(threads[0].ids.n_ids, 20000u);
    for (size_t i = 1; i < 4; i++) {
        cr_expect_eq(threads[i].ids.n_ids, threads[0].ids.n_ids);
        cr_expect_eq(
            memcmp(threads[i].ids.ids, threads[0].ids.ids, threads[0].ids.n_ids * sizeof(uint32_t)),
            0);
    }
    for (size_t i = 0; i < 4; i++) token_list_fini(&threads[i].ids);
    tokenizer_close(&tokenizer);
}
