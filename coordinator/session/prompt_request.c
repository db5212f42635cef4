#include "coordinator/session/prompt_request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Builders return a new reference or NULL; json_pack takes them over ("o") and fails on NULL. */

static json_t *answers_schema(size_t n_answers)
{
    return json_pack("{s:s, s:{s:{s:s, s:{s:s, s:[i,i]}, s:I, s:I}}, s:[s], s:b}", "type", "object",
                     "properties", "answers", "type", "array", "items", "type", "integer", "enum",
                     0, 1, "minItems", (json_int_t)n_answers, "maxItems", (json_int_t)n_answers,
                     "required", "answers", "additionalProperties", 0);
}

static json_t *label_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s, s:i, s:i}, s:{s:s, s:[s,s,s,s]}}, s:[s,s], s:b}", "type",
                     "object", "properties", "label", "type", "string", "minLength",
                     PROMPT_LABEL_MIN_CHARACTERS, "maxLength", PROMPT_LABEL_MAX_CHARACTERS, "type",
                     "type", "string", "enum", "concrete", "syntactic", "abstract", "polysemantic",
                     "required", "label", "type", "additionalProperties", 0);
}

static json_t *texts_schema(size_t n_texts)
{
    return json_pack("{s:s, s:{s:s}, s:I, s:I}", "type", "array", "items", "type", "string",
                     "minItems", (json_int_t)n_texts, "maxItems", (json_int_t)n_texts);
}

static json_t *experiments_schema(size_t n_each)
{
    return json_pack("{s:s, s:{s:o, s:o, s:o, s:o}, s:[s,s,s,s], s:b}", "type", "object",
                     "properties", "fires", texts_schema(n_each), "silent", texts_schema(n_each),
                     "hard_fires", texts_schema(n_each), "hard_silent", texts_schema(n_each),
                     "required", "fires", "silent", "hard_fires", "hard_silent",
                     "additionalProperties", 0);
}

static json_t *choice_schema(size_t n_choices)
{
    return json_pack("{s:s, s:{s:{s:s, s:i, s:I}}, s:[s], s:b}", "type", "object", "properties",
                     "answer", "type", "integer", "minimum", 1, "maximum", (json_int_t)n_choices,
                     "required", "answer", "additionalProperties", 0);
}

static json_t *proposals_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s, s:{s:s, s:{s:{s:s}, s:{s:s}}, s:[s,s], s:b}}}, s:[s], s:b}",
                     "type", "object", "properties", "proposals", "type", "array", "items", "type",
                     "object", "properties", "component", "type", "string", "role", "type",
                     "string", "required", "component", "role", "additionalProperties", 0,
                     "required", "proposals", "additionalProperties", 0);
}

static json_t *schema_of(const struct prompt_request *request)
{
    if (request->wanted == PROMPT_WANTS_ANSWERS) return answers_schema(request->n_answers);
    if (request->wanted == PROMPT_WANTS_EXPERIMENTS) return experiments_schema(request->n_answers);
    if (request->wanted == PROMPT_WANTS_CHOICE) return choice_schema(request->n_answers);
    if (request->wanted == PROMPT_WANTS_PROPOSALS) return proposals_schema();
    return label_schema();
}

static json_t *response_format(const struct prompt_request *request)
{
    if (request->format == PROMPT_FORMAT_JSON_OBJECT)
        return json_pack("{s:s}", "type", "json_object");
    static const char *const names[] = {[PROMPT_WANTS_LABEL] = "label",
                                        [PROMPT_WANTS_ANSWERS] = "answers",
                                        [PROMPT_WANTS_EXPERIMENTS] = "experiments",
                                        [PROMPT_WANTS_CHOICE] = "choice",
                                        [PROMPT_WANTS_PROPOSALS] = "proposals"};
    return json_pack("{s:s, s:{s:s, s:b, s:o}}", "type", "json_schema", "json_schema", "name",
                     names[request->wanted], "strict", 1, "schema", schema_of(request));
}

static json_t *message(const char *role, const struct buffer *text)
{
    return json_pack("{s:s, s:s%}", "role", role, "content",
                     text->n_bytes ? (const char *)text->bytes : "", text->n_bytes);
}

static json_t *messages_of(const struct prompt_request *request)
{
    json_t *system = NULL;
    if (request->messages->system.n_bytes > 0) {
        system = message("system", &request->messages->system);
        if (!system) return NULL;
    }
    json_t *user = message("user", &request->messages->user);
    if (system) return json_pack("[o, o]", system, user);
    return json_pack("[o]", user);
}

static json_t *body_of(const struct prompt_request *request)
{
    json_t *body = json_pack("{s:o, s:i, s:I}", "messages", messages_of(request), "temperature", 0,
                             "max_tokens", (json_int_t)request->max_tokens);
    int failed = !body;
    if (!failed && request->model)
        failed = json_object_set_new(body, "model", json_string(request->model));
    if (!failed && request->format != PROMPT_FORMAT_TEXT)
        failed = json_object_set_new(body, "response_format", response_format(request));
    if (!failed) return body;
    json_decref(body);
    return NULL;
}

status_t prompt_request_write(const struct prompt_request *request, struct buffer *out,
                              struct error *err)
{
    json_t *body = body_of(request);
    if (!body) return error_set(err, ST_BAD_INPUT, "request: text that is not UTF-8, or no memory");
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    status_t status = text ? buffer_append(out, text, strlen(text), err)
                           : error_set(err, ST_NO_MEMORY, "request body");
    free(text);
    json_decref(body);
    return status;
}
