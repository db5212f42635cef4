#include "coordinator/session/simulation_prompt.h"

#include "coordinator/session/prompt_data.h"
#include "coordinator/session/simulation.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const SIMULATION_PROMPT_FIELDS[] = {"label", "tokens", "n_tokens"};

/* --- tokens ------------------------------------------------------------ */

status_t simulation_tokens_init(struct simulation_tokens *out, const struct window *window,
                                const struct token_texts *texts, struct error *err)
{
    struct window_text text;
    struct simulation_tokens made = {.n_tokens = window->n_tokens};
    status_t status = window_text_init(&text, window, texts, err);
    if (status != ST_OK) return status;
    buffer_init(&made.text, PROMPT_MAX_MESSAGE_BYTES);
    made.begins = calloc(window->n_tokens + 1, sizeof *made.begins);
    if (!made.begins) status = error_set(err, ST_NO_MEMORY, "%zu tokens", window->n_tokens);
    for (size_t i = 0; i < window->n_tokens && status == ST_OK; i++) {
        status = prompt_data_append_token(&made.text, &text, i, err);
        if (status == ST_OK) made.begins[i + 1] = made.text.n_bytes;
    }
    window_text_fini(&text);
    if (status == ST_OK)
        *out = made;
    else
        simulation_tokens_fini(&made);
    return status;
}

void simulation_tokens_fini(struct simulation_tokens *tokens)
{
    buffer_fini(&tokens->text);
    free(tokens->begins);
    tokens->begins = NULL;
    tokens->n_tokens = 0;
}

const char *simulation_token(const struct simulation_tokens *tokens, size_t index, size_t *n_bytes)
{
    *n_bytes = tokens->begins[index + 1] - tokens->begins[index];
    return *n_bytes ? (const char *)tokens->text.bytes + tokens->begins[index] : "";
}

/* --- the prompt ------------------------------------------------------------ */

static status_t append_lines(struct buffer *out, const struct simulation_tokens *tokens,
                             struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < tokens->n_tokens && status == ST_OK; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        if (i > 0) status = buffer_append(out, "\n", 1, err);
        if (status == ST_OK) status = buffer_append(out, token, n, err);
    }
    return status;
}

static status_t append_list(struct buffer *out, const struct simulation_tokens *tokens,
                            struct error *err)
{
    int failed = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->n_tokens && !failed; i++) {
        size_t n;
        const char *token = simulation_token(tokens, i, &n);
        failed = json_array_append_new(list, json_stringn(token, n));
    }
    char *text = failed ? NULL : json_dumps(list, JSON_COMPACT);
    const status_t status =
        text ? buffer_append(out, text, strlen(text), err)
             : error_set(err, ST_NO_MEMORY, "list of %zu tokens", tokens->n_tokens);
    free(text);
    json_decref(list);
    return status;
}

status_t simulation_prompt_build(const struct simulation_prompt *prompt,
                                 struct prompt_messages *messages, struct error *err)
{
    if (prompt->label[0] == '\0' || prompt->tokens->n_tokens == 0)
        return error_set(err, ST_BAD_INPUT, "simulation prompt: no %s",
                         prompt->label[0] == '\0' ? "label" : "token");
    struct buffer label, tokens;
    buffer_init(&label, PROMPT_MAX_MESSAGE_BYTES);
    buffer_init(&tokens, PROMPT_MAX_MESSAGE_BYTES);
    status_t status =
        prompt_data_append(&label, prompt->label, strlen(prompt->label), NULL, 0, err);
    if (status == ST_OK)
        status = prompt->form == SIMULATION_SCALE ? append_list(&tokens, prompt->tokens, err)
                                                  : append_lines(&tokens, prompt->tokens, err);
    if (status == ST_OK) {
        char n_text[24];
        const int n_digits = snprintf(n_text, sizeof n_text, "%zu", prompt->tokens->n_tokens);
        const struct prompt_field fields[SIMULATION_N_PROMPT_FIELDS] = {
            {SIMULATION_PROMPT_FIELDS[0], (const char *)label.bytes, label.n_bytes},
            {SIMULATION_PROMPT_FIELDS[1], (const char *)tokens.bytes, tokens.n_bytes},
            {SIMULATION_PROMPT_FIELDS[2], n_text, (size_t)n_digits}};
        status = prompt_template_fill(prompt->template_, fields, SIMULATION_N_PROMPT_FIELDS,
                                      &messages->system, &messages->user, err);
    }
    buffer_fini(&label);
    buffer_fini(&tokens);
    return status;
}

/* --- the request ------------------------------------------------------------ */

enum {
    LINE_EXTRA_TOKENS = 4,  /* tab, up to two digits, line break */
    ENTRY_EXTRA_TOKENS = 16 /* {"token":"","value":10}, and blanks */
};

uint32_t simulation_reply_tokens(const struct simulation_prompt *prompt)
{
    const struct simulation_tokens *tokens = prompt->tokens;
    const size_t n_text = tokens->text.n_bytes; /* at most PROMPT_MAX_MESSAGE_BYTES */
    const size_t n = prompt->form == SIMULATION_SCALE
                         ? 2 * n_text + ENTRY_EXTRA_TOKENS * tokens->n_tokens /* escapes */
                         : n_text + LINE_EXTRA_TOKENS * tokens->n_tokens;
    return n < UINT32_MAX - 24 ? (uint32_t)n + 24 : UINT32_MAX;
}

/* Builders return a new reference or NULL; json_pack takes them over ("o") and fails on NULL. */

static json_t *values_schema(size_t n_tokens)
{
    json_t *entry = json_pack("{s:s, s:{s:{s:s}, s:{s:s, s:i, s:i}}, s:[s,s], s:b}", "type",
                              "object", "properties", "token", "type", "string", "value", "type",
                              "integer", "minimum", 0, "maximum", SIMULATION_MAX_VALUE, "required",
                              "token", "value", "additionalProperties", 0);
    return json_pack("{s:s, s:{s:{s:s, s:o, s:I, s:I}}, s:[s], s:b}", "type", "object",
                     "properties", "activations", "type", "array", "items", entry, "minItems",
                     (json_int_t)n_tokens, "maxItems", (json_int_t)n_tokens, "required",
                     "activations", "additionalProperties", 0);
}

static json_t *response_format(enum prompt_format format, size_t n_tokens)
{
    if (format == PROMPT_FORMAT_JSON_OBJECT) return json_pack("{s:s}", "type", "json_object");
    return json_pack("{s:s, s:{s:s, s:b, s:o}}", "type", "json_schema", "json_schema", "name",
                     "activations", "strict", 1, "schema", values_schema(n_tokens));
}

static json_t *message(const char *role, const struct buffer *text)
{
    return json_pack("{s:s, s:s%}", "role", role, "content",
                     text->n_bytes ? (const char *)text->bytes : "", text->n_bytes);
}

static json_t *body_of(const struct simulation_prompt *prompt,
                       const struct prompt_messages *messages, const char *model,
                       enum prompt_format format)
{
    json_t *said = messages->system.n_bytes > 0
                       ? json_pack("[o, o]", message("system", &messages->system),
                                   message("user", &messages->user))
                       : json_pack("[o]", message("user", &messages->user));
    json_t *body = json_pack("{s:o, s:i, s:I}", "messages", said, "temperature", 0, "max_tokens",
                             (json_int_t)simulation_reply_tokens(prompt));
    int failed = !body;
    if (!failed && model) failed = json_object_set_new(body, "model", json_string(model));
    if (!failed && prompt->form == SIMULATION_LOGPROBS)
        failed = json_object_set_new(body, "logprobs", json_true()) ||
                 json_object_set_new(body, "top_logprobs", json_integer(SIMULATION_TOP_LOGPROBS));
    else if (!failed && format != PROMPT_FORMAT_TEXT)
        failed = json_object_set_new(body, "response_format",
                                     response_format(format, prompt->tokens->n_tokens));
    if (!failed) return body;
    json_decref(body);
    return NULL;
}

status_t simulation_request_write(const struct simulation_prompt *prompt,
                                  const struct prompt_messages *messages, const char *model,
                                  enum prompt_format format, struct buffer *out, struct error *err)
{
    json_t *body = body_of(prompt, messages, model, format);
    if (!body) return error_set(err, ST_BAD_INPUT, "simulation request: not UTF-8, or no memory");
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    const status_t status = text ? buffer_append(out, text, strlen(text), err)
                                 : error_set(err, ST_NO_MEMORY, "simulation request");
    free(text);
    json_decref(body);
    return status;
}
