/* Expected texts are those of HF tokenizers 0.23.3 for the same object and text. */
#include "worker/model/normalizer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status_t load(const char *config, struct normalizer *out, struct error *err)
{
    char json[512];
    (void)snprintf(json, sizeof json, "%s", config);
    for (char *c = json; (c = strchr(c, '\''));) *c = '"';
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(value, "%s", config);
    const status_t status = normalizer_load(out, value, err);
    json_decref(value);
    return status;
}

static status_t apply(const struct normalizer *normalizer, const char *text, size_t n_bytes,
                      struct buffer *out)
{
    struct buffer spare;
    struct regex_cursor *cursor = NULL;
    buffer_init(&spare, out->max_bytes);
    cr_assert_eq(regex_cursor_create(&cursor, NULL), ST_OK);
    const status_t status = normalizer_apply(normalizer, cursor, text, n_bytes, out, &spare, NULL);
    regex_cursor_destroy(&cursor);
    buffer_fini(&spare);
    return status;
}

static void check(const char *config, const char *text, const char *want)
{
    struct error err = {0};
    struct normalizer normalizer;
    struct buffer got;
    buffer_init(&got, 1 << 20);
    cr_assert_eq(load(config, &normalizer, &err), ST_OK, "%s", err.text);
    cr_assert_eq(apply(&normalizer, text, strlen(text), &got), ST_OK);
    cr_expect(got.n_bytes == strlen(want) && memcmp(buffer_text(&got), want, got.n_bytes) == 0,
              "%s on '%s': got '%s', want '%s'", config, text, buffer_text(&got), want);
    buffer_fini(&got);
    normalizer_fini(&normalizer);
}

Test(normalizer, unicode_forms)
{
    check("{'type':'NFC'}", "e\u0301 \u1112\u1161\u11ab \u212b a\u0323\u0302", "é 한 Å ậ");
    check("{'type':'NFC'}", "plain e\u0301", "plain é");
    check("{'type':'NFD'}", "é 한 ṩ", "e\u0301 \u1112\u1161\u11ab s\u0323\u0307");
    check("{'type':'NFKC'}", "ﬁ ① ﷺ Å", "fi 1 صلى الله عليه وسلم Å");
    check("{'type':'NFKD'}", "ﬁ² ㎏", "fi2 kg");
    check("{'type':'NFC'}", "q\u0307\u0323\u0301", "q\u0323\u0307\u0301");
}

Test(normalizer, text_steps)
{
    check("{'type':'Lowercase'}", "ÀİΣẞ ǅ", "ài\u0307σß ǆ");
    check("{'type':'Strip','strip_left':true,'strip_right':true}", " \u3000a b\t\n", "a b");
    check("{'type':'Strip','strip_left':false,'strip_right':true}", " a ", " a");
    check("{'type':'Replace','pattern':{'String':'aa'},'content':'b'}", "aaaaa", "bba");
    check("{'type':'Replace','pattern':{'Regex':'\\\\s+'},'content':' '}", "a \t\u3000b", "a b");
}

Test(normalizer, sequences_run_in_order_and_empty_text_stays_empty)
{
    check("{'type':'Sequence','normalizers':[{'type':'Prepend','prepend':'▁'},"
          "{'type':'Replace','pattern':{'String':' '},'content':'▁'}]}",
          "a b", "▁a▁b");
    check("{'type':'Sequence','normalizers':[{'type':'Strip'},{'type':'Prepend','prepend':'▁'}]}",
          "  ", "");
    check("{'type':'Sequence','normalizers':[]}", "aB", "aB");
    check("null", "aB", "aB");
}

Test(normalizer, half_a_million_marks_are_sorted_in_time, .timeout = 20)
{
    enum { N_PAIRS = 250000 };
    struct normalizer normalizer;
    struct buffer got;
    char *text = malloc(1 + 4 * N_PAIRS);
    cr_assert_not_null(text);
    text[0] = 'q';
    for (size_t i = 0; i < N_PAIRS; i++) memcpy(text + 1 + 4 * i, "\u0301\u0323", 4);
    buffer_init(&got, 1 << 24);
    cr_assert_eq(load("{'type':'NFC'}", &normalizer, NULL), ST_OK);
    cr_assert_eq(apply(&normalizer, text, 1 + 4 * N_PAIRS, &got), ST_OK);
    cr_assert_eq(got.n_bytes, 1u + 4 * N_PAIRS);
    cr_expect_eq(memcmp(got.bytes + 1, "\u0323\u0323", 4), 0, "the marks below come first");
    cr_expect_eq(memcmp(got.bytes + got.n_bytes - 4, "\u0301\u0301", 4), 0);
    buffer_fini(&got);
    normalizer_fini(&normalizer);
    free(text);
}

Test(normalizer, a_text_that_grows_past_the_cap_is_refused)
{
    struct normalizer normalizer;
    struct buffer got;
    buffer_init(&got, 8);
    cr_assert_eq(
        load("{'type':'Replace','pattern':{'String':'a'},'content':'xyz'}", &normalizer, NULL),
        ST_OK);
    cr_expect_eq(apply(&normalizer, "aaa", 3, &got), ST_TOO_LARGE);
    buffer_fini(&got);
    normalizer_fini(&normalizer);
}

Test(normalizer, what_is_not_understood_is_refused_by_name)
{
    static const struct {
        const char *config, *says;
        status_t want;
    } cases[] = {
        {"{'type':'Nmt'}", "Nmt", ST_UNSUPPORTED},
        {"{'type':'Sequence','normalizers':[{'type':'NFC'},{'type':'BertNormalizer'}]}",
         "BertNormalizer", ST_UNSUPPORTED},
        {"{'type':'Prepend'}", "prepend", ST_CORRUPT},
        {"{'type':'Replace','content':''}", "pattern", ST_CORRUPT},
        {"3", "type", ST_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct normalizer normalizer;
        cr_expect_eq(load(cases[i].config, &normalizer, &err), cases[i].want, "%s",
                     cases[i].config);
        cr_expect(strstr(err.text, cases[i].says) && strstr(err.text, "normalizer"), "%s",
                  err.text);
    }
}
