#include "coordinator/intake/corpus_line.h"

#include "coordinator/intake/document_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static status_t read_id(struct corpus_line *line, const char *place, struct error *err)
{
    const json_t *id = json_object_get(line->json, "id");
    line->id[0] = '\0';
    if (!id || json_is_null(id)) return ST_OK;
    if (json_is_integer(id)) {
        (void)snprintf(line->id, sizeof line->id, "%" JSON_INTEGER_FORMAT, json_integer_value(id));
        return ST_OK;
    }
    if (!json_is_string(id) || json_string_length(id) == 0)
        return error_set(err, ST_BAD_INPUT, "%s: \"id\" is neither text nor a whole number", place);
    if (json_string_length(id) > CORPUS_MAX_ID_BYTES)
        return error_set(err, ST_TOO_LARGE, "%s: \"id\" is longer than %d bytes", place,
                         CORPUS_MAX_ID_BYTES);
    memcpy(line->id, json_string_value(id), json_string_length(id) + 1);
    return ST_OK;
}

static status_t read_text(struct corpus_line *line, const char *place, struct error *err)
{
    const json_t *text = json_object_get(line->json, "text");
    if (!json_is_string(text)) {
        const bool has_tokens = json_object_get(line->json, "tokens") != NULL;
        return error_set(err, ST_BAD_INPUT, "%s: no \"text\" in this line%s", place,
                         has_tokens ? " but \"tokens\": set format: tokens" : "");
    }
    line->text = json_string_value(text);
    line->n_text_bytes = json_string_length(text);
    return ST_OK;
}

static status_t reserve_tokens(struct corpus_line *line, size_t n_tokens, const char *place,
                               struct error *err)
{
    uint32_t *grown;
    if (n_tokens <= line->token_capacity) return ST_OK;
    grown = realloc(line->tokens, n_tokens * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%s: %zu tokens", place, n_tokens);
    line->tokens = grown;
    line->token_capacity = n_tokens;
    return ST_OK;
}

static status_t read_tokens(struct corpus_line *line, const char *place, struct error *err)
{
    const json_t *tokens = json_object_get(line->json, "tokens");
    const size_t n_tokens = json_array_size(tokens);
    status_t status;
    if (!json_is_array(tokens))
        return error_set(err, ST_BAD_INPUT, "%s: no list \"tokens\" in this line", place);
    status = reserve_tokens(line, n_tokens, place, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n_tokens; i++) {
        const json_t *token = json_array_get(tokens, i);
        const json_int_t value = json_integer_value(token);
        if (!json_is_integer(token) || value < 0 || value >= INT32_MAX)
            return error_set(err, ST_BAD_INPUT, "%s: \"tokens\"[%zu] is no token id", place, i);
        line->tokens[i] = (uint32_t)value;
    }
    line->n_tokens = n_tokens;
    return ST_OK;
}

status_t corpus_line_parse(struct corpus_line *line, const char *bytes, size_t n_bytes,
                           bool wants_tokens, const char *place, struct error *err)
{
    json_error_t problem;
    status_t status = document_text_check(bytes, n_bytes, place, "the line", err);
    if (status != ST_OK) return status;
    json_decref(line->json);
    line->text = NULL;
    line->n_text_bytes = line->n_tokens = 0;
    line->json = json_loadb(bytes, n_bytes, JSON_REJECT_DUPLICATES, &problem);
    if (!line->json)
        return error_set(err, ST_BAD_INPUT, "%s: not JSON at byte %d of the line: %s", place,
                         problem.position, problem.text);
    if (!json_is_object(line->json))
        return error_set(err, ST_BAD_INPUT, "%s: a JSON object is wanted in every line", place);
    status = read_id(line, place, err);
    if (status != ST_OK) return status;
    return wants_tokens ? read_tokens(line, place, err) : read_text(line, place, err);
}

void corpus_line_fini(struct corpus_line *line)
{
    json_decref(line->json);
    free(line->tokens);
    *line = (struct corpus_line){0};
}
