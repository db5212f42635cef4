#include "coordinator/gateway/completion.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOGPROB_DIGITS = 9 };          /* far more than they are good for */
enum { HIDDEN_PROMPT_TOKENS = 4096 }; /* a template may add this much to what we sent */

static void copy_text(char *out, size_t size, const json_t *value, const char *absent)
{
    const char *text = json_string_value(value);
    (void)snprintf(out, size, "%s", text ? text : absent);
    for (char *c = out; *c; c++) /* plain ASCII: the cut may have split a UTF-8 sequence */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) *c = '?';
}

static char first_byte(const char *body, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (!strchr(" \t\r\n", body[i])) return body[i];
    return '\0';
}

static status_t take_content(const json_t *message, struct completion *out, struct error *err)
{
    const json_t *content = json_object_get(message, "content");
    if (!json_is_object(message) || !(json_is_string(content) || json_is_null(content) || !content))
        return error_set(err, ST_CORRUPT, "the answer has no message text");
    out->n_content_bytes = json_string_length(content);
    out->content = malloc(out->n_content_bytes + 1);
    if (!out->content) return error_set(err, ST_NO_MEMORY, "reply text");
    if (out->n_content_bytes)
        memcpy(out->content, json_string_value(content), out->n_content_bytes);
    out->content[out->n_content_bytes] = '\0';
    return ST_OK;
}

/* Are the bytes of an entry those of its token's text? Not so where a token ends in the middle of
 * a character. */
static bool says_its_bytes(const json_t *entry)
{
    const json_t *token = json_object_get(entry, "token"), *bytes = json_object_get(entry, "bytes");
    const char *text = json_string_value(token);
    if (!text || json_array_size(bytes) != json_string_length(token)) return false;
    for (size_t i = 0; i < json_array_size(bytes); i++) {
        const json_t *value = json_array_get(bytes, i);
        if (!json_is_integer(value) || json_integer_value(value) != (unsigned char)text[i])
            return false;
    }
    return true;
}

/* Bytes that say nothing new are most of such an answer, and stored replies stay in memory. */
static void drop_said_bytes(json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i);
        if (says_its_bytes(entry)) (void)json_object_del(entry, "bytes");
    }
}

static void take_logprobs(const json_t *choice, struct completion *out)
{
    const json_t *logprobs = json_object_get(choice, "logprobs");
    json_t *content = json_object_get(logprobs, "content");
    if (!json_is_object(logprobs)) return;
    drop_said_bytes(content);
    for (size_t i = 0; i < json_array_size(content); i++)
        drop_said_bytes(json_object_get(json_array_get(content, i), "top_logprobs"));
    out->logprobs = json_dumps(logprobs, JSON_COMPACT | JSON_REAL_PRECISION(LOGPROB_DIGITS));
    if (out->logprobs && strlen(out->logprobs) > COMPLETION_LOGPROBS_MAX) {
        free(out->logprobs);
        out->logprobs = NULL;
    }
}

static bool usage_number(const json_t *usage, const char *name, const char *other, uint64_t *out)
{
    const json_t *value = json_object_get(usage, name);
    if (!value) value = json_object_get(usage, other);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void take_usage(const json_t *root, const struct completion_bounds *bounds,
                       struct completion *out)
{
    const json_t *usage = json_object_get(root, "usage");
    const bool has_in = usage_number(usage, "prompt_tokens", "input_tokens", &out->tokens_in);
    const bool has_out =
        usage_number(usage, "completion_tokens", "output_tokens", &out->tokens_out);
    const uint64_t most_in = bounds->n_request_bytes + HIDDEN_PROMPT_TOKENS;
    const uint64_t most_out = bounds->tokens_out + bounds->tokens_out / 20 + 64;
    if (!has_in || out->tokens_in == 0 || out->tokens_in > most_in) {
        out->tokens_in = least(bounds->n_request_bytes / 4 + 1, bounds->tokens_in);
        out->is_estimated = true;
    }
    if (!has_out || out->tokens_out > most_out ||
        (out->tokens_out == 0 && out->n_content_bytes > 0)) {
        out->tokens_out = least(out->n_content_bytes / 4 + 1, bounds->tokens_out);
        out->is_estimated = true;
    }
}

static status_t take_apart(const json_t *root, const struct completion_bounds *bounds,
                           struct completion *out, struct error *err)
{
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    if (!choice && json_object_get(root, "error")) {
        char message[COMPLETION_ERROR_MAX];
        const json_t *error = json_object_get(root, "error");
        copy_text(message, sizeof message, json_object_get(error, "message"), "no message");
        return error_set(err, ST_UNREACHABLE, "the answer is an error: %s", message);
    }
    if (!choice) return error_set(err, ST_CORRUPT, "the answer has no choices");
    status_t status = take_content(json_object_get(choice, "message"), out, err);
    if (status != ST_OK) return status;
    copy_text(out->finish_reason, sizeof out->finish_reason,
              json_object_get(choice, "finish_reason"), "unknown");
    copy_text(out->model, sizeof out->model, json_object_get(root, "model"), "");
    take_logprobs(choice, out);
    take_usage(root, bounds, out);
    return ST_OK;
}

status_t completion_parse(const char *body, size_t n_bytes, const struct completion_bounds *bounds,
                          struct completion *out, struct error *err)
{
    json_error_t why;
    struct completion parsed = {.content = NULL};
    if (n_bytes > COMPLETION_BODY_MAX)
        return error_set(err, ST_TOO_LARGE, "the answer has %zu bytes, at most %d", n_bytes,
                         COMPLETION_BODY_MAX);
    if (first_byte(body, n_bytes) == '<')
        return error_set(err, ST_UNSUPPORTED, "the answer is a web page, not JSON");
    if (first_byte(body, n_bytes) == '\0') return error_set(err, ST_CORRUPT, "the answer is empty");
    json_t *root = json_loadb(body, n_bytes, JSON_ALLOW_NUL, &why);
    if (!root)
        return error_set(err, ST_CORRUPT, "the answer of %zu bytes is not whole JSON: %s", n_bytes,
                         why.text);
    const status_t status = take_apart(root, bounds, &parsed, err);
    json_decref(root);
    if (status != ST_OK) {
        completion_fini(&parsed);
        return status;
    }
    *out = parsed;
    return ST_OK;
}

void completion_fini(struct completion *completion)
{
    free(completion->content);
    free(completion->logprobs);
    *completion = (struct completion){.content = NULL};
}

void completion_error_text(const char *body, size_t n_bytes, char message[COMPLETION_ERROR_MAX],
                           char code[64])
{
    json_t *root = n_bytes <= COMPLETION_BODY_MAX ? json_loadb(body, n_bytes, 0, NULL) : NULL;
    const json_t *error = json_object_get(root, "error");
    const json_t *text = json_is_string(error) ? error : json_object_get(error, "message");
    const json_t *name = json_object_get(error, "code");
    if (!text) text = json_object_get(root, "message");
    if (!json_is_string(name)) name = json_object_get(error, "type");
    copy_text(message, COMPLETION_ERROR_MAX, text, "");
    copy_text(code, 64, name, "");
    json_decref(root);
}
