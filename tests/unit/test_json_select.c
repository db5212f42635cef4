/* What is selected is what jansson has at the same paths, byte for byte; nothing that is no JSON
 * passes. */
#include "coordinator/api/json_select.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The selection, NULL if it failed; the caller frees it. */
static char *select_text(const char *text, size_t n_bytes, const char *const *paths)
{
    struct buffer out;
    size_t n_paths = 0;
    while (paths[n_paths]) n_paths++;
    buffer_init(&out, 4096);
    cr_assert_eq(buffer_append_text(&out, "before", NULL), ST_OK);
    char *copy = malloc(n_bytes + 1); /* so that a read behind its end is seen */
    cr_assert_not_null(copy);
    memcpy(copy, text, n_bytes);
    char *exact = realloc(copy, n_bytes ? n_bytes : 1);
    const status_t status =
        json_select((struct wire_text){exact, n_bytes}, paths, n_paths, &out, NULL);
    cr_expect(status == ST_OK || out.n_bytes == 6, "a failure leaves nothing behind");
    char *got = status == ST_OK ? strdup(buffer_text(&out) + 6) : NULL;
    free(exact);
    buffer_fini(&out);
    return got;
}
#define SELECT(text, ...)                                                                          \
    select_text((text), strlen(text), (const char *const[]){__VA_ARGS__, NULL})

static void expect_selected(char *got, const char *want)
{
    cr_expect(got && strcmp(got, want) == 0, "%s, not %s", got ? got : "(refused)", want);
    free(got);
}

static const char record[] =
    "{\"a\":1.50,\"b\":{\"c\":{\"d\":[1,{\"e\":2}],\"f\":\"x\"},\"cc\":3},"
    "\"evidence\":[{\"text\":\"} ] \\\" \\\\\"},[]],\"label\":\"say \\\"hi\\\" {\","
    "\"n\":null,\"z\":-1e-7}";

Test(json_select, keeps_what_stands_at_the_paths_as_it_is_written)
{
    expect_selected(SELECT(record, "a"), "{\"a\":1.50}");
    expect_selected(SELECT(record, "z", "a"), "{\"a\":1.50,\"z\":-1e-7}");
    expect_selected(SELECT(record, "label"), "{\"label\":\"say \\\"hi\\\" {\"}");
    expect_selected(SELECT(record, "b.c.d"), "{\"b\":{\"c\":{\"d\":[1,{\"e\":2}]}}}");
    expect_selected(SELECT(record, "b.c", "b.cc"),
                    "{\"b\":{\"c\":{\"d\":[1,{\"e\":2}],\"f\":\"x\"},\"cc\":3}}");
    expect_selected(SELECT(record, "b.c.f", "b"),
                    "{\"b\":{\"c\":{\"d\":[1,{\"e\":2}],\"f\":\"x\"},\"cc\":3}}");
    expect_selected(SELECT(" { \"a\" : [ 1 , 2 ] , \"b\" : 3 } \n", "a"), "{\"a\":[ 1 , 2 ]}");
}

Test(json_select, leaves_out_what_is_not_there_and_keeps_a_null_on_the_way)
{
    expect_selected(SELECT(record, "none", "ab", "b.none"), "{\"b\":{}}");
    expect_selected(SELECT(record, "n.deeper", "a.deeper", "evidence.text"), "{\"n\":null}");
    expect_selected(SELECT("{}", "a"), "{}");
    expect_selected(SELECT(record, NULL), "{}");
}

Test(json_select, every_truncation_is_refused)
{
    const char *const paths[] = {"b.c.d", "n", "label", NULL};
    char *whole = select_text(record, strlen(record), paths);
    expect_selected(
        whole, "{\"b\":{\"c\":{\"d\":[1,{\"e\":2}]}},\"label\":\"say \\\"hi\\\" {\",\"n\":null}");
    for (size_t n = 0; n < strlen(record); n++) {
        char *got = select_text(record, n, paths);
        cr_expect_null(got, "%.*s", (int)n, record);
        free(got);
    }
}

Test(json_select, what_is_no_object_is_refused)
{
    static const char *const broken[] = {
        "",      "[]",         "1",           "{\"a\"}",           "{\"a\":}",
        "{a:1}", "{\"a\":1,}", "{\"a\":1} x", "{\"a\":1 \"b\":2}", "{\"a\":\"\\"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char *got = SELECT(broken[i], "a");
        cr_expect_null(got, "%s", broken[i]);
        free(got);
    }
}
