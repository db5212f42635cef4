/* Answers of a chat-completions endpoint: good, odd, lying, cut. */
#include "coordinator/gateway/completion.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct completion_bounds bounds = {
    .n_request_bytes = 400, .tokens_in = 150, .tokens_out = 64};
static const char good[] =
    "{\"model\":\"m-1\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"a "
    "label\"},\"finish_reason\":\"stop\",\"logprobs\":{\"content\":[{\"token\":\"a\","
    "\"logprob\":-0.5}]}}],\"usage\":{\"prompt_tokens\":90,\"completion_tokens\":3}}";

static status_t parse(const char *text, struct completion *out, struct error *err)
{
    error_clear(err);
    return completion_parse(text, strlen(text), &bounds, out, err);
}

Test(completion, takes_content_usage_and_logprobs)
{
    struct error err;
    struct completion reply;
    cr_assert_eq(parse(good, &reply, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(reply.content, "a label");
    cr_expect_eq(reply.n_content_bytes, 7);
    cr_expect_str_eq(reply.finish_reason, "stop");
    cr_expect_str_eq(reply.model, "m-1");
    cr_expect_str_eq(reply.logprobs, "{\"content\":[{\"token\":\"a\",\"logprob\":-0.5}]}");
    cr_expect_eq(reply.tokens_in, 90);
    cr_expect_eq(reply.tokens_out, 3);
    cr_expect_not(reply.is_estimated);
    completion_fini(&reply);
}

Test(completion, keeps_of_log_probabilities_what_their_tokens_do_not_say)
{
    static const char text[] =
        "{\"choices\":[{\"message\":{\"content\":\"7\"},\"logprobs\":{\"content\":["
        "{\"token\":\"7\",\"logprob\":-0.12345678901234567,\"bytes\":[55],\"top_logprobs\":["
        "{\"token\":\"7\",\"logprob\":-1,\"bytes\":[55]},{\"token\":\"\\ufffd\",\"logprob\":-2,"
        "\"bytes\":[195]},{\"token\":\"8\",\"logprob\":-3,\"bytes\":null}]},"
        "{\"token\":\"\\u00e9\",\"logprob\":0,\"bytes\":[195,169]},"
        "{\"token\":\"x\",\"bytes\":[120,121]},7,{\"bytes\":[]}]}}]}";
    struct error err;
    struct completion reply;
    cr_assert_eq(parse(text, &reply, &err), ST_OK, "%s", err.text);
    cr_expect_str_eq(
        reply.logprobs,
        "{\"content\":[{\"token\":\"7\",\"logprob\":-0.123456789,\"top_logprobs\":["
        "{\"token\":\"7\",\"logprob\":-1},{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-2,"
        "\"bytes\":[195]},{\"token\":\"8\",\"logprob\":-3,\"bytes\":null}]},"
        "{\"token\":\"\xC3\xA9\",\"logprob\":0},{\"token\":\"x\",\"bytes\":[120,121]},7,"
        "{\"bytes\":[]}]}");
    completion_fini(&reply);
}

Test(completion, estimates_usage_that_is_missing_or_absurd)
{
    static const char *const usages[] = {
        "null",
        "{}",
        "\"many\"",
        "[1,2]",
        "{\"prompt_tokens\":-1,\"completion_tokens\":-1}",
        "{\"prompt_tokens\":0,\"completion_tokens\":0}",
        "{\"prompt_tokens\":999999999999,\"completion_tokens\":999999999999}",
        "{\"prompt_tokens\":1.5,\"completion_tokens\":2.5}",
        "{\"prompt_tokens\":\"90\",\"completion_tokens\":\"3\"}",
        "{\"prompt_tokens\":true,\"completion_tokens\":false}"};
    for (size_t i = 0; i < sizeof usages / sizeof usages[0]; i++) {
        char text[512];
        struct error err;
        struct completion reply;
        (void)snprintf(text, sizeof text,
                       "{\"choices\":[{\"message\":{\"content\":\"a label\"}}],\"usage\":%s}",
                       usages[i]);
        cr_assert_eq(parse(text, &reply, &err), ST_OK, "%s: %s", usages[i], err.text);
        cr_expect(reply.is_estimated, "%s", usages[i]);
        cr_expect_eq(reply.tokens_in, 101, "%s: 400 bytes / 4 + 1", usages[i]);
        cr_expect_eq(reply.tokens_out, 2, "%s: 7 bytes / 4 + 1", usages[i]);
        completion_fini(&reply);
    }
}

Test(completion, never_estimates_above_what_was_reserved)
{
    struct error err;
    struct completion reply;
    const struct completion_bounds tight = {
        .n_request_bytes = 400, .tokens_in = 20, .tokens_out = 1};
    static const char text[] = "{\"choices\":[{\"message\":{\"content\":\"a long reply\"}}]}";
    error_clear(&err);
    cr_assert_eq(completion_parse(text, sizeof text - 1, &tight, &reply, &err), ST_OK);
    cr_expect_eq(reply.tokens_in, 20);
    cr_expect_eq(reply.tokens_out, 1);
    completion_fini(&reply);
}

Test(completion, takes_an_answer_without_text_as_empty)
{
    struct error err;
    struct completion reply;
    cr_assert_eq(parse("{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":"
                       "\"content_filter\"}],\"usage\":{\"prompt_tokens\":9,"
                       "\"completion_tokens\":0}}",
                       &reply, &err),
                 ST_OK);
    cr_expect_str_eq(reply.content, "");
    cr_expect_str_eq(reply.finish_reason, "content_filter");
    cr_expect_not(reply.is_estimated);
    completion_fini(&reply);
}

Test(completion, says_what_is_wrong_with_other_answers)
{
    static const struct {
        const char *text;
        status_t want;
    } cases[] = {
        {"", ST_CORRUPT},
        {"  \n", ST_CORRUPT},
        {"<!DOCTYPE html><html>", ST_UNSUPPORTED},
        {"\n  <html>", ST_UNSUPPORTED},
        {"Service unavailable", ST_CORRUPT},
        {"[]", ST_CORRUPT},
        {"{}", ST_CORRUPT},
        {"{\"choices\":[]}", ST_CORRUPT},
        {"{\"choices\":{}}", ST_CORRUPT},
        {"{\"choices\":[{}]}", ST_CORRUPT},
        {"{\"choices\":[{\"message\":{\"content\":5}}]}", ST_CORRUPT},
        {"{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}", ST_CORRUPT},
        {"{\"error\":{\"message\":\"upstream\"}}", ST_UNREACHABLE},
        {"{\"error\":\"upstream\"}", ST_UNREACHABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        struct completion reply = {.content = NULL};
        cr_expect_eq(parse(cases[i].text, &reply, &err), cases[i].want, "'%s': %s", cases[i].text,
                     err.text);
        cr_expect_null(reply.content);
        cr_expect(err.text[0] != '\0');
    }
}

Test(completion, refuses_every_truncation)
{
    for (size_t n = 0; n < sizeof good - 1; n++) {
        struct error err;
        struct completion reply;
        char *cut = malloc(n ? n : 1); /* exact, so that a sanitizer sees an overrun */
        cr_assert_not_null(cut);
        memcpy(cut, good, n);
        error_clear(&err);
        cr_expect_eq(completion_parse(cut, n, &bounds, &reply, &err), ST_CORRUPT, "%zu bytes", n);
        free(cut);
    }
}

Test(completion, bounds_depth_and_odd_bytes)
{
    struct error err;
    struct completion reply;
    char *deep = malloc(200001);
    cr_assert_not_null(deep);
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    cr_expect_eq(parse(deep, &reply, &err), ST_CORRUPT);
    free(deep);
    cr_assert_eq(parse("{\"model\":\"m\\n\xc3\xa9\",\"choices\":[{\"message\":{\"content\":"
                       "\"a\\u0000b\"}}]}",
                       &reply, &err),
                 ST_OK);
    cr_expect_eq(reply.n_content_bytes, 3, "a NUL is content like any other");
    cr_expect_str_eq(reply.model, "m???", "names go to logs: printable ASCII only");
    completion_fini(&reply);
}

Test(completion, reads_error_texts_in_their_shapes)
{
    static const struct {
        const char *text, *message, *code;
    } cases[] = {
        {"{\"error\":{\"message\":\"no\",\"code\":\"x\",\"type\":\"y\"}}", "no", "x"},
        {"{\"error\":{\"message\":\"no\",\"code\":null,\"type\":\"y\"}}", "no", "y"},
        {"{\"error\":\"plain\"}", "plain", ""},
        {"{\"message\":\"top\"}", "top", ""},
        {"<html>", "", ""},
        {"", "", ""},
        {"{\"error\":{\"message\":\"a\\nb\"}}", "a?b", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[COMPLETION_ERROR_MAX], code[64];
        completion_error_text(cases[i].text, strlen(cases[i].text), message, code);
        cr_expect_str_eq(message, cases[i].message, "%s", cases[i].text);
        cr_expect_str_eq(code, cases[i].code, "%s", cases[i].text);
    }
}
