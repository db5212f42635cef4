/* Canonical bodies and ids. */
#include "coordinator/gateway/call.h"
#include "coordinator/gateway/provider_config.h"

#include <criterion/criterion.h>
#include <string.h>

static status_t prepare(const char *text, struct call *call, struct error *err)
{
    json_t *body = json_loads(text, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(body, "%s", text);
    error_clear(err);
    const status_t status = call_prepare(call, "p", body, err);
    json_decref(body);
    return status;
}

Test(call, equal_requests_have_one_id_whatever_their_spelling)
{
    struct error err;
    struct call a, b;
    cr_assert_eq(prepare("{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\","
                         "\"content\":\"hi\"}]}",
                         &a, &err),
                 ST_OK, "%s", err.text);
    cr_assert_eq(prepare("{ \"messages\": [ {\"content\": \"\\u0068i\", \"role\": \"user\"} ],\n"
                         "  \"max_tokens\": 5, \"model\": \"m\" }",
                         &b, &err),
                 ST_OK);
    cr_expect_str_eq(a.id, b.id);
    cr_expect_str_eq(a.body, "{\"max_tokens\":5,\"messages\":[{\"content\":\"hi\",\"role\":"
                             "\"user\"}],\"model\":\"m\"}");
    cr_expect_eq(a.max_tokens, 5);
    call_fini(&a);
    call_fini(&b);
}

Test(call, the_id_covers_provider_model_and_every_parameter)
{
    static const char *const bodies[] = {
        "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"content\":\"hi\"}]}",
        "{\"model\":\"n\",\"max_tokens\":5,\"messages\":[{\"content\":\"hi\"}]}",
        "{\"model\":\"m\",\"max_tokens\":6,\"messages\":[{\"content\":\"hi\"}]}",
        "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"content\":\"ho\"}]}",
        "{\"model\":\"m\",\"max_tokens\":5,\"temperature\":0,\"messages\":[{\"content\":\"hi\"}]}"};
    enum { N = sizeof bodies / sizeof bodies[0] };
    char ids[N][HASH_HEX_SIZE];
    for (size_t i = 0; i < N; i++) {
        struct error err;
        struct call call;
        cr_assert_eq(prepare(bodies[i], &call, &err), ST_OK);
        memcpy(ids[i], call.id, sizeof ids[i]);
        call_fini(&call);
        for (size_t j = 0; j < i; j++) cr_expect_str_neq(ids[i], ids[j]);
    }
}

Test(call, refuses_bodies_that_cannot_be_bounded)
{
    static const char *const bodies[] = {
        "[]",
        "{}",
        "{\"model\":\"m\",\"messages\":[{}]}",
        "{\"model\":\"m\",\"messages\":[],\"max_tokens\":5}",
        "{\"messages\":[{}],\"max_tokens\":5}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":0}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":-1}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":1e9}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":99999999}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":\"5\"}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":5,\"n\":2}",
        "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":5,\"stream\":true}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct error err;
        struct call call = {.body = NULL};
        cr_expect_neq(prepare(bodies[i], &call, &err), ST_OK, "%s", bodies[i]);
        cr_expect(err.text[0] != '\0' && !call.body);
    }
}

Test(call, text_without_a_model_gets_the_providers)
{
    struct error err;
    struct call with, without;
    char name[] = "p", model[] = "m";
    const struct provider provider = {.name = name, .model = model};
    static const char a[] = "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{}]}";
    static const char b[] = "{\"max_tokens\":5,\"messages\":[{}]}";
    error_clear(&err);
    cr_assert_eq(call_prepare_text(&with, &provider, a, strlen(a), &err), ST_OK, "%s", err.text);
    cr_assert_eq(call_prepare_text(&without, &provider, b, strlen(b), &err), ST_OK);
    cr_expect_str_eq(with.id, without.id);
    call_fini(&with);
    call_fini(&without);
    cr_expect_eq(call_prepare_text(&with, &provider, "{", 1, &err), ST_BAD_INPUT);
}

Test(call, names_are_plain_words)
{
    cr_expect(call_name_is_valid("sweep-1.a_B"));
    char too_long[CALL_NAME_MAX + 2];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    const char *const bad[] = {"", "a b", "a/b", "a:b", "a\n", "{a}", "\xc3\xa9", too_long};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(call_name_is_valid(bad[i]), "'%s'", bad[i]);
    cr_expect(call_name_is_valid(too_long + 1));
}
