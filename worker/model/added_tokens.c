#include "worker/model/added_tokens.h"

#include "worker/model/json_fields.h"
#include "worker/model/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, MAX_NORMALIZED_BYTES = 1 << 20 };

void segment_list_fini(struct segment_list *list)
{
    free(list->segments);
    *list = (struct segment_list){0};
}

/* ---- reading ---------------------------------------------------------------------------- */

static status_t read_flags(struct added_token *token, const json_t *value, struct error *err)
{
    status_t status = json_read_bool(value, "special", false, &token->is_special, err);
    if (status == ST_OK)
        status =
            json_read_bool(value, "normalized", !token->is_special, &token->is_normalized, err);
    if (status == ST_OK)
        status = json_read_bool(value, "single_word", false, &token->is_single_word, err);
    if (status == ST_OK) status = json_read_bool(value, "lstrip", false, &token->strips_left, err);
    if (status == ST_OK) status = json_read_bool(value, "rstrip", false, &token->strips_right, err);
    return status;
}

static status_t check_id(const struct vocabulary *model, const char *content, size_t id,
                         struct error *err)
{
    const char *held;
    size_t n_held;
    const size_t n_content = strlen(content);
    const uint32_t model_id = vocabulary_find(model, content, n_content);
    if (id >= VOCABULARY_MAX_IDS)
        return error_set(err, ST_TOO_LARGE, "token '%.64s': id %zu, at most %d are read", content,
                         id, VOCABULARY_MAX_IDS - 1);
    if (model_id != TOKEN_NONE && model_id != id)
        return error_set(err, ST_CORRUPT, "token '%.64s': id %zu, but the vocabulary says %u",
                         content, id, model_id);
    if (model_id == TOKEN_NONE && vocabulary_text(model, (uint32_t)id, &held, &n_held))
        return error_set(err, ST_CORRUPT, "token '%.64s': its id %zu belongs to '%.*s'", content,
                         id, (int)(n_held > 64 ? 64 : n_held), held);
    return ST_OK;
}

/* Make the token findable in `trie` by that spelling, and its id spelled so. */
static status_t index_spelling(struct added_tokens *added, struct token_trie *trie,
                               const char *spelling, size_t n_bytes, struct error *err)
{
    const uint32_t index = (uint32_t)added->n_tokens - 1;
    const status_t status =
        vocabulary_add(&added->spelled, spelling, n_bytes, added->tokens[index].id, err);
    return status == ST_OK ? token_trie_add(trie, spelling, n_bytes, index, err) : status;
}

/* A token that is matched after normalization is looked for in its normalized spelling. */
static status_t index_normalized(struct added_tokens *added, const struct normalizer *normalizer,
                                 const char *content, struct error *err)
{
    struct buffer spelled, spare;
    struct regex_cursor *cursor = NULL;
    buffer_init(&spelled, MAX_NORMALIZED_BYTES);
    buffer_init(&spare, MAX_NORMALIZED_BYTES);
    status_t status = regex_cursor_create(&cursor, err);
    if (status == ST_OK)
        status =
            normalizer_apply(normalizer, cursor, content, strlen(content), &spelled, &spare, err);
    if (status == ST_OK && spelled.n_bytes == 0)
        status =
            error_set(err, ST_UNSUPPORTED, "token '%.64s': the normalizer leaves nothing", content);
    if (status == ST_OK)
        status = index_spelling(added, &added->normalized, (const char *)spelled.bytes,
                                spelled.n_bytes, err);
    regex_cursor_destroy(&cursor);
    buffer_fini(&spelled);
    buffer_fini(&spare);
    return status;
}

static status_t read_token(struct added_tokens *added, const json_t *value,
                           const struct vocabulary *model, const struct normalizer *normalizer,
                           struct error *err)
{
    const char *content = NULL;
    size_t id = SIZE_MAX;
    struct added_token *token = &added->tokens[added->n_tokens];
    status_t status = json_need_string(value, "content", &content, err);
    if (status == ST_OK) status = json_read_count(value, "id", SIZE_MAX, &id, err);
    if (status == ST_OK) status = read_flags(token, value, err);
    if (status != ST_OK || !content[0]) return status; /* an empty one matches nothing */
    status = check_id(model, content, id, err);
    if (status != ST_OK) return status;
    token->id = (uint32_t)id;
    status = vocabulary_add(&added->vocabulary, content, strlen(content), token->id, err);
    if (status != ST_OK) return status;
    added->n_tokens++;
    if (token->is_single_word && !added->word)
        status = regex_create(&added->word, "[" REGEX_RUST_WORD "]", err);
    if (status != ST_OK) return status;
    if (token->is_normalized) return index_normalized(added, normalizer, content, err);
    return index_spelling(added, &added->raw, content, strlen(content), err);
}

status_t added_tokens_load(struct added_tokens *out, json_t *list, const struct vocabulary *model,
                           const struct normalizer *normalizer, struct error *err)
{
    struct added_tokens added = {0};
    status_t status = ST_OK;
    const size_t n_listed = json_array_size(list);
    vocabulary_init(&added.vocabulary);
    vocabulary_init(&added.spelled);
    if (list && !json_is_null(list) && !json_is_array(list))
        return error_set(err, ST_CORRUPT, "added_tokens is not a list");
    added.tokens = calloc(n_listed + 1, sizeof *added.tokens);
    if (!added.tokens) return error_set(err, ST_NO_MEMORY, "%zu added tokens", n_listed);
    for (size_t i = 0; status == ST_OK && i < n_listed; i++) {
        status = read_token(&added, json_array_get(list, i), model, normalizer, err);
        if (status != ST_OK) error_wrap(err, "added_tokens[%zu]", i);
    }
    if (status == ST_OK)
        *out = added;
    else
        added_tokens_fini(&added);
    return status;
}

void added_tokens_fini(struct added_tokens *added)
{
    vocabulary_fini(&added->vocabulary);
    vocabulary_fini(&added->spelled);
    token_trie_fini(&added->raw);
    token_trie_fini(&added->normalized);
    regex_destroy(&added->word);
    free(added->tokens);
    added->tokens = NULL;
}

/* ---- splitting -------------------------------------------------------------------------- */

static status_t append_segment(struct segment_list *list, uint32_t id, size_t begin, size_t end,
                               struct error *err)
{
    if (list->n_segments == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
        struct text_segment *grown = realloc(list->segments, capacity * sizeof *grown);
        if (!grown) return error_set(err, ST_NO_MEMORY, "%zu segments", capacity);
        list->segments = grown;
        list->capacity = capacity;
    }
    list->segments[list->n_segments++] = (struct text_segment){id, begin, end};
    return ST_OK;
}

static status_t is_word_at(const struct added_tokens *added, struct regex_cursor *cursor,
                           const char *text, size_t at, bool *out, struct error *err)
{
    size_t n_used, begin, end;
    (void)utf8_read(text + at, &n_used);
    return regex_find(added->word, cursor, text + at, n_used, 0, out, &begin, &end, err);
}

static status_t touches_word(const struct added_tokens *added, struct regex_cursor *cursor,
                             const char *text, size_t n_bytes, const struct text_segment *match,
                             bool *out, struct error *err)
{
    *out = false;
    if (match->begin > 0) {
        const size_t before = utf8_previous(text, match->begin);
        const status_t status = is_word_at(added, cursor, text, before, out, err);
        if (status != ST_OK || *out) return status;
    }
    if (match->end == n_bytes) return ST_OK;
    return is_word_at(added, cursor, text, match->end, out, err);
}

/* Add one match and the text before it; *covered is where the last match ended. White space
 * that a match swallows may reach into the next match, which counts nevertheless. */
static status_t take_match(const struct added_token *token, const char *text, size_t n_bytes,
                           struct text_segment match, size_t *covered, struct segment_list *out,
                           struct error *err)
{
    if (token->strips_left) {
        match.begin -= utf8_trailing_space(text, match.begin);
        if (match.begin < *covered) match.begin = *covered;
    }
    if (token->strips_right) match.end += utf8_leading_space(text + match.end, n_bytes - match.end);
    if (*covered < match.begin) {
        const status_t status = append_segment(out, TOKEN_NONE, *covered, match.begin, err);
        if (status != ST_OK) return status;
    }
    *covered = match.end;
    return append_segment(out, token->id, match.begin, match.end, err);
}

status_t added_tokens_split(const struct added_tokens *added, const struct token_trie *trie,
                            struct regex_cursor *cursor, const char *text, size_t n_bytes,
                            struct segment_list *out, struct error *err)
{
    size_t covered = 0;
    uint32_t index = 0;
    struct text_segment match;
    out->n_segments = 0;
    for (size_t from = 0;
         token_trie_find(trie, text, n_bytes, from, &match.begin, &match.end, &index);
         from = match.end) {
        const struct added_token *token = &added->tokens[index];
        status_t status = ST_OK;
        bool in_word = false;
        match.id = token->id;
        if (token->is_single_word)
            status = touches_word(added, cursor, text, n_bytes, &match, &in_word, err);
        if (status == ST_OK && !in_word)
            status = take_match(token, text, n_bytes, match, &covered, out, err);
        if (status != ST_OK) return status;
    }
    if (covered < n_bytes) return append_segment(out, TOKEN_NONE, covered, n_bytes, err);
    return ST_OK;
}
