/* The JSON value inside an LLM's reply. */
#include "coordinator/gateway/reply_parse.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static status_t parse(const char *text, enum reply_parse_mode mode, char **dumped)
{
    struct error err;
    json_t *value = NULL;
    error_clear(&err);
    *dumped = NULL;
    const status_t status = reply_parse_json(text, strlen(text), mode, &value, &err);
    if (status == ST_OK)
        *dumped = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    else
        cr_expect(err.text[0] != '\0' && value == NULL);
    json_decref(value);
    return status;
}

static const struct {
    const char *text;
    const char *strict; /* NULL: refused */
    const char *repair;
} cases[] = {
    {"{\"a\": 1}", "{\"a\":1}", "{\"a\":1}"},
    {" \n[1, 2]\n", "[1,2]", "[1,2]"},
    {"```json\n{\"a\": 1}\n```", "{\"a\":1}", "{\"a\":1}"},
    {"```\n[0]\n```  ", "[0]", "[0]"},
    {"```JSON {\"a\":1}```", "{\"a\":1}", "{\"a\":1}"},
    {"true", "true", "true"},
    {"Sure! {\"a\": 1} is my answer.", NULL, "{\"a\":1}"},
    {"Here:\n```json\n[1]\n```\nDone.", NULL, "[1]"},
    {"set {x} gives [1, {\"b\": \"}]\"}] at last", NULL, "[1,{\"b\":\"}]\"}]"},
    {"{\"a\": 1} {\"a\": 2}", NULL, "{\"a\":1}"},
    {"{\"a\": 1,}", NULL, NULL},
    {"{\"a\": 1", NULL, NULL},
    {"{\"a\": 1, \"a\": 2}", NULL, NULL},
    {"{'a': 1}", NULL, NULL},
    {"no json here", NULL, NULL},
    {"", NULL, NULL},
    {"   ", NULL, NULL},
    {"``````", NULL, NULL},
    {"{\"a\": \"\xff\xfe\"}", NULL, NULL},
    {"{\"a\": NaN}", NULL, NULL},
    {"\xef\xbb\xbf{\"a\": 1}", NULL, "{\"a\":1}"},
};

Test(reply_parse, is_strict_or_repairs_once)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const want[] = {cases[i].strict, cases[i].repair};
        for (int mode = REPLY_STRICT; mode <= REPLY_REPAIR; mode++) {
            char *got;
            const status_t status = parse(cases[i].text, (enum reply_parse_mode)mode, &got);
            cr_expect_eq(status == ST_OK, want[mode] != NULL, "mode %d of '%s'", mode,
                         cases[i].text);
            if (want[mode] && got) cr_expect_str_eq(got, want[mode], "'%s'", cases[i].text);
            free(got);
        }
    }
}

Test(reply_parse, bounds_depth_before_it_parses)
{
    char text[2 * REPLY_PARSE_MAX_DEPTH + 3], *got;
    memset(text, '[', REPLY_PARSE_MAX_DEPTH);
    memset(text + REPLY_PARSE_MAX_DEPTH, ']', REPLY_PARSE_MAX_DEPTH);
    text[2 * REPLY_PARSE_MAX_DEPTH] = '\0';
    cr_expect_eq(parse(text, REPLY_STRICT, &got), ST_OK, "exactly the limit");
    free(got);
    memset(text, '[', REPLY_PARSE_MAX_DEPTH + 1);
    memset(text + REPLY_PARSE_MAX_DEPTH + 1, ']', REPLY_PARSE_MAX_DEPTH + 1);
    text[2 * REPLY_PARSE_MAX_DEPTH + 2] = '\0';
    cr_expect_eq(parse(text, REPLY_STRICT, &got), ST_TOO_LARGE);
    cr_expect_eq(parse(text, REPLY_REPAIR, &got), ST_TOO_LARGE);
}

Test(reply_parse, a_string_full_of_brackets_is_not_deep)
{
    char *got;
    cr_expect_eq(parse("{\"a\": \"[[[[[[[[[[[[[[[[[[[[[[[[[[{{{{{{{\\\"[[\"}", REPLY_STRICT, &got),
                 ST_OK);
    free(got);
}

Test(reply_parse, takes_bounded_time_on_a_sea_of_brackets)
{
    const size_t n = REPLY_PARSE_MAX_BYTES;
    struct error err;
    json_t *value = NULL;
    char *text = malloc(n + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < n; i++) text[i] = i % 2 ? '{' : ' ';
    error_clear(&err);
    cr_expect_neq(reply_parse_json(text, n, REPLY_REPAIR, &value, &err), ST_OK);
    error_clear(&err);
    text[n] = 'x';
    cr_expect_eq(reply_parse_json(text, n + 1, REPLY_REPAIR, &value, &err), ST_TOO_LARGE);
    free(text);
}
