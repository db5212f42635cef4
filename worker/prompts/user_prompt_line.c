#include "worker/prompts/user_prompt_line.h"

#include "common/prompts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONTEXT_MAX_BYTES = 16 * 1024 * 1024,
    ANSWER_MAX_BYTES = 1024,
    MAX_OCCURRENCE_DIGITS = 6,
    QUOTED_BYTES = 60
};

/* A line while it is read. */
struct line_state {
    const struct prompt_tokenizer *tokenizer;
    json_t *line; /* borrowed */
    struct token_text clean, corrupted;
    struct buffer text; /* of the clean tokens, BOS left out */
    size_t answer_at;   /* token */
    struct token_list answers, distractors;
};

static void state_fini(struct line_state *state)
{
    token_text_fini(&state->clean);
    token_text_fini(&state->corrupted);
    token_list_fini(&state->answers);
    token_list_fini(&state->distractors);
    buffer_fini(&state->text);
}

static status_t check_keys(const json_t *line, struct error *err)
{
    static const char *const known[] = {
        "clean",           "corrupted",      "answers",  "answer", "distractors", "distractor",
        "answer_position", "positions",      "template", "id",     "position",    "set",
        "clean_text",      "corrupted_text", NULL};
    const char *key;
    json_t *value;
    if (!json_is_object(line)) return error_set(err, ST_BAD_INPUT, "no JSON object");
    json_object_foreach((json_t *)(uintptr_t)line, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i]) return error_set(err, ST_BAD_INPUT, "unknown key \"%.60s\"", key);
    }
    return ST_OK;
}

static status_t replace_by_ids(json_t *line, const char *key, const struct token_list *tokens,
                               struct error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < tokens->n_ids; i++)
        if (json_array_append_new(list, json_integer((json_int_t)tokens->ids[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    if (list && json_object_set_new(line, key, list) == 0) return ST_OK;
    return error_set(err, ST_NO_MEMORY, "%s", key);
}

/* --- the two prompts ----------------------------------------------------------------------- */

static status_t read_id(const struct prompt_tokenizer *tokenizer, const json_t *value,
                        uint32_t *out, struct error *err)
{
    const json_int_t id = json_integer_value(value);
    if (!json_is_integer(value)) return error_set(err, ST_BAD_INPUT, "no token id");
    if (id < 0 || id >= UINT32_MAX)
        return error_set(err, ST_BAD_INPUT, "%lld is no token id", (long long)id);
    *out = (uint32_t)id;
    return prompt_tokenizer_check_id(tokenizer, *out, err);
}

static status_t read_ids(const struct prompt_tokenizer *tokenizer, const json_t *list,
                         struct token_text *out, struct error *err)
{
    status_t status = ST_OK;
    const size_t n = json_array_size(list);
    if (n == 0) return error_set(err, ST_BAD_INPUT, "is empty");
    if (n > tokenizer->n_positions)
        return error_set(err, ST_BAD_INPUT, "has %zu tokens: the model has %zu positions", n,
                         tokenizer->n_positions);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        uint32_t id = 0;
        status = read_id(tokenizer, json_array_get(list, i), &id, err);
        if (status == ST_OK)
            status = token_list_append(&out->tokens, &id, 1, err);
        else
            status = error_wrap(err, "[%zu]", i);
    }
    return status;
}

static status_t read_prompt(const struct line_state *state, const char *key, struct token_text *out,
                            struct error *err)
{
    const json_t *value = json_object_get(state->line, key);
    status_t status;
    if (!value) return error_set(err, ST_BAD_INPUT, "%s is missing", key);
    if (json_is_string(value))
        status = prompt_tokenizer_encode(state->tokenizer, json_string_value(value),
                                         json_string_length(value), out, err);
    else if (json_is_array(value))
        status = read_ids(state->tokenizer, value, out, err);
    else
        status = error_set(err, ST_BAD_INPUT, "is no text and no list of token ids");
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", key);
}

/* Where the file gives a text to tokenize, that is the text for people too. */
static status_t keep_text(json_t *line, const char *key, const char *text_key, struct error *err)
{
    json_t *value = json_object_get(line, key);
    if (!json_is_string(value) || json_object_get(line, text_key)) return ST_OK;
    return json_object_set(line, text_key, value) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%s", text_key);
}

static status_t read_prompts(struct line_state *state, struct error *err)
{
    json_t *line = state->line;
    status_t status = read_prompt(state, "clean", &state->clean, err);
    if (status == ST_OK) status = read_prompt(state, "corrupted", &state->corrupted, err);
    if (status != ST_OK) return status;
    if (json_typeof(json_object_get(line, "clean")) !=
        json_typeof(json_object_get(line, "corrupted")))
        return error_set(err, ST_BAD_INPUT, "one of clean and corrupted is text, the other ids");
    if (state->clean.tokens.n_ids != state->corrupted.tokens.n_ids)
        return error_set(err, ST_BAD_INPUT, "clean has %zu tokens, corrupted %zu",
                         state->clean.tokens.n_ids, state->corrupted.tokens.n_ids);
    status = keep_text(line, "clean", "clean_text", err);
    if (status == ST_OK) status = keep_text(line, "corrupted", "corrupted_text", err);
    if (status == ST_OK) status = replace_by_ids(line, "clean", &state->clean.tokens, err);
    if (status == ST_OK) status = replace_by_ids(line, "corrupted", &state->corrupted.tokens, err);
    return status;
}

/* --- positions ----------------------------------------------------------------------------- */

static status_t read_index(const struct line_state *state, const json_t *value, size_t *out,
                           struct error *err)
{
    const json_int_t index = json_integer_value(value);
    const json_int_t n = (json_int_t)state->clean.tokens.n_ids;
    if (!json_is_integer(value)) return error_set(err, ST_BAD_INPUT, "is no number");
    if (index < -n || index >= n)
        return error_set(err, ST_BAD_INPUT, "is %lld: the prompt has %lld tokens", (long long)index,
                         (long long)n);
    *out = (size_t)(index < 0 ? index + n : index);
    return ST_OK;
}

static status_t read_answer_position(struct line_state *state, struct error *err)
{
    const json_t *position = json_object_get(state->line, "position");
    const json_t *other = json_object_get(state->line, "answer_position");
    const char *key = position ? "position" : "answer_position";
    if (position && other)
        return error_set(err, ST_BAD_INPUT, "position and answer_position are given");
    if (!position) position = other;
    state->answer_at = state->clean.tokens.n_ids - 1;
    if (!position || json_is_null(position)) return ST_OK;
    const status_t status = read_index(state, position, &state->answer_at, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "%s", key);
}

/* "text#2" into the text's length and 2; 0 without a number. */
static size_t cut_occurrence(const char *text, size_t *n_bytes)
{
    const char *mark = strrchr(text, '#');
    const size_t n_digits = mark ? strspn(mark + 1, "0123456789") : 0;
    if (!mark || mark == text || n_digits == 0 || n_digits > MAX_OCCURRENCE_DIGITS ||
        mark[1 + n_digits])
        return 0;
    *n_bytes = (size_t)(mark - text);
    return (size_t)strtoul(mark + 1, NULL, 10);
}

/* The byte behind occurrence `wanted` (from 1; 0: the only one) of part in the clean text. */
static status_t find_part(const struct buffer *text, const char *part, size_t n_bytes,
                          size_t wanted, size_t *end, struct error *err)
{
    const int n_quoted = (int)(n_bytes < QUOTED_BYTES ? n_bytes : QUOTED_BYTES);
    size_t n_found = 0;
    for (size_t at = 0; at + n_bytes <= text->n_bytes; at++) {
        if (memcmp(text->bytes + at, part, n_bytes) != 0) continue;
        if (++n_found == wanted || wanted == 0) *end = at + n_bytes;
        if (n_found == wanted) return ST_OK;
    }
    if (wanted == 0 && n_found == 1) return ST_OK;
    if (wanted == 0 && n_found > 1)
        return error_set(err, ST_BAD_INPUT, "\"%.*s\" comes %zu times: \"%.*s#1\" is the first",
                         n_quoted, part, n_found, n_quoted, part);
    return error_set(err, ST_BAD_INPUT, "\"%.*s\" comes %zu times in clean", n_quoted, part,
                     n_found);
}

/* The token that has the byte before `end`. */
static size_t token_at(const struct line_state *state, size_t end)
{
    size_t i = 0;
    while (i + 1 < state->clean.tokens.n_ids && state->clean.ends[i] < end) i++;
    return i;
}

static status_t place_text(struct line_state *state, const char *name, json_t *value,
                           struct error *err)
{
    const char *text = json_string_value(value);
    size_t n_bytes = json_string_length(value), end = 0;
    if (n_bytes == 0) return error_set(err, ST_BAD_INPUT, "is empty");
    if (!state->clean.has_ends)
        return error_set(err, ST_BAD_INPUT,
                         "is text, where clean is not text as the tokenizer keeps it: give a "
                         "number");
    const size_t wanted = cut_occurrence(text, &n_bytes);
    const status_t status = find_part(&state->text, text, n_bytes, wanted, &end, err);
    if (status != ST_OK) return status;
    return json_object_set_new(json_object_get(state->line, "positions"), name,
                               json_integer((json_int_t)token_at(state, end))) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%s", name);
}

static status_t read_positions(struct line_state *state, struct error *err)
{
    json_t *positions = json_object_get(state->line, "positions"), *value;
    const char *name;
    void *next;
    status_t status = ST_OK;
    if (!positions || json_is_null(positions)) return ST_OK;
    if (!json_is_object(positions)) return error_set(err, ST_BAD_INPUT, "positions is no object");
    json_object_foreach_safe(positions, next, name, value)
    {
        size_t index;
        status = json_is_string(value) ? place_text(state, name, value, err)
                                       : read_index(state, value, &index, err);
        if (status != ST_OK) return error_wrap(err, "positions: %.40s", name);
    }
    return status;
}

/* --- answers ------------------------------------------------------------------------------- */

/* The text up to the token whose logits answer: a cut of the file's own, or what the ids say. */
static status_t find_context(const struct line_state *state, struct buffer *out, struct error *err)
{
    const struct tokenizer *tokenizer = state->tokenizer->tokenizer;
    const uint32_t *ids = state->clean.tokens.ids;
    status_t status = ST_OK;
    if (state->clean.has_ends)
        return buffer_append(out, state->text.bytes, state->clean.ends[state->answer_at], err);
    for (size_t i = 0; i <= state->answer_at && status == ST_OK; i++)
        if (!tokenizer_is_special(tokenizer, ids[i]))
            status = prompt_tokenizer_text(state->tokenizer, &ids[i], 1, out, err);
    return status;
}

static status_t read_answer_text(const struct line_state *state, const char *context,
                                 const json_t *value, uint32_t *out, struct error *err)
{
    const char *text = json_string_value(value);
    const size_t n_bytes = json_string_length(value);
    struct token_list tokens = {0};
    bool extends = false;
    if (n_bytes == 0 || n_bytes > ANSWER_MAX_BYTES)
        return error_set(err, ST_BAD_INPUT, "is not of 1 to %d bytes", ANSWER_MAX_BYTES);
    status_t status =
        prompt_tokenizer_continue(state->tokenizer, context, text, &tokens, &extends, err);
    if (status == ST_OK && !extends)
        status = error_set(err, ST_BAD_INPUT,
                           "\"%.60s\" behind the prompt changes the prompt's own tokens", text);
    if (status == ST_OK && tokens.n_ids != 1)
        status = error_set(err, ST_BAD_INPUT,
                           "\"%.60s\" is %zu tokens behind the prompt: an answer is one token "
                           "(alternatives go in a list)",
                           text, tokens.n_ids);
    if (status == ST_OK) *out = tokens.ids[0];
    if (status == ST_OK) status = prompt_tokenizer_check_id(state->tokenizer, *out, err);
    token_list_fini(&tokens);
    return status;
}

static status_t read_answer(const struct line_state *state, const char *context,
                            const json_t *value, struct token_list *out, struct error *err)
{
    uint32_t id = 0;
    const status_t status = json_is_string(value)
                                ? read_answer_text(state, context, value, &id, err)
                                : read_id(state->tokenizer, value, &id, err);
    return status == ST_OK ? token_list_append(out, &id, 1, err) : status;
}

/* A list under `plural`, or one or the like under `singular`; both become a list of ids. */
static status_t read_answers(struct line_state *state, const char *context, const char *const *keys,
                             struct token_list *out, struct error *err)
{
    const json_t *list = json_object_get(state->line, keys[0]);
    const json_t *one = json_object_get(state->line, keys[1]);
    const char *key = list ? keys[0] : keys[1];
    const json_t *value = list ? list : one;
    const size_t n = json_is_array(value) ? json_array_size(value) : 1;
    status_t status = ST_OK;
    if (list && one) return error_set(err, ST_BAD_INPUT, "%s and %s are given", keys[0], keys[1]);
    if (!value) return error_set(err, ST_BAD_INPUT, "%s is missing", keys[0]);
    if (n == 0) return error_set(err, ST_BAD_INPUT, "%s is empty", key);
    if (!list && n > 1)
        return error_set(err, ST_BAD_INPUT,
                         "%s has %zu tokens: an answer is one token (alternatives go in \"%s\")",
                         key, n, keys[0]);
    if (n > PROMPTS_MAX_ANSWERS)
        return error_set(err, ST_TOO_LARGE, "%s: more than %d", key, PROMPTS_MAX_ANSWERS);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        status = read_answer(state, context,
                             json_is_array(value) ? json_array_get(value, i) : value, out, err);
        if (status != ST_OK) return error_wrap(err, "%s[%zu]", key, i);
    }
    (void)json_object_del(state->line, keys[1]);
    return replace_by_ids(state->line, keys[0], out, err);
}

static status_t check_answers(const struct line_state *state, struct error *err)
{
    for (size_t i = 0; i < state->answers.n_ids; i++)
        for (size_t j = 0; j < state->distractors.n_ids; j++)
            if (state->answers.ids[i] == state->distractors.ids[j])
                return error_set(err, ST_BAD_INPUT, "token %u is answer and distractor",
                                 (unsigned)state->answers.ids[i]);
    return ST_OK;
}

static status_t read_both_answers(struct line_state *state, struct error *err)
{
    static const char *const answers[] = {"answers", "answer"};
    static const char *const distractors[] = {"distractors", "distractor"};
    struct buffer bytes;
    buffer_init(&bytes, CONTEXT_MAX_BYTES);
    status_t status = find_context(state, &bytes, err);
    const char *context = status == ST_OK ? buffer_text(&bytes) : NULL;
    if (status == ST_OK && !context)
        status = error_set(err, ST_TOO_LARGE, "clean is over %d bytes", CONTEXT_MAX_BYTES - 1);
    if (status == ST_OK) status = read_answers(state, context, answers, &state->answers, err);
    if (status == ST_OK)
        status = read_answers(state, context, distractors, &state->distractors, err);
    buffer_fini(&bytes);
    return status == ST_OK ? check_answers(state, err) : status;
}

/* --- the line ------------------------------------------------------------------------------ */

/* The clean text as positions are looked up in it. */
static status_t note_text(struct line_state *state, struct error *err)
{
    const json_t *clean = json_object_get(state->line, "clean");
    if (!json_is_string(clean)) return ST_OK;
    return buffer_append(&state->text, json_string_value(clean), json_string_length(clean), err);
}

status_t user_prompt_line_tokenize(const struct prompt_tokenizer *tokenizer, json_t *line,
                                   struct error *err)
{
    struct line_state state = {.tokenizer = tokenizer, .line = line};
    buffer_init(&state.text, CONTEXT_MAX_BYTES);
    status_t status = check_keys(line, err);
    if (status == ST_OK) status = note_text(&state, err);
    if (status == ST_OK) status = read_prompts(&state, err);
    if (status == ST_OK) status = read_answer_position(&state, err);
    if (status == ST_OK) status = read_positions(&state, err);
    if (status == ST_OK) status = read_both_answers(&state, err);
    state_fini(&state);
    return status;
}
