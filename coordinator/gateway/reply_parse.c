#include "coordinator/gateway/reply_parse.h"

#include <stdbool.h>
#include <string.h>

struct span {
    const char *at;
    size_t n_bytes;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span text)
{
    while (text.n_bytes && is_blank(text.at[0])) text.at++, text.n_bytes--;
    while (text.n_bytes && is_blank(text.at[text.n_bytes - 1])) text.n_bytes--;
    return text;
}

static bool starts_with(struct span text, const char *word)
{
    const size_t n = strlen(word);
    return text.n_bytes >= n && memcmp(text.at, word, n) == 0;
}

/* "```json\n...\n```" -> "..."; other text as it is. */
static struct span inside_fence(struct span text)
{
    text = trim(text);
    if (text.n_bytes < 6 || !starts_with(text, "```")) return text;
    struct span inner = {text.at + 3, text.n_bytes - 3};
    if (starts_with(inner, "json") || starts_with(inner, "JSON")) {
        inner.at += 4;
        inner.n_bytes -= 4;
    }
    if (inner.n_bytes < 3 || memcmp(inner.at + inner.n_bytes - 3, "```", 3) != 0) return text;
    inner.n_bytes -= 3;
    return trim(inner);
}

/* Depth of nesting, strings left out; stops counting above the limit. Runs before the parser, so
 * that depth is bounded by us and not by its stack. */
static bool is_too_deep(struct span text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char c = text.at[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > REPLY_PARSE_MAX_DEPTH) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static status_t parse_whole(struct span text, json_t **out, struct error *err)
{
    json_error_t why;
    if (text.n_bytes == 0) return error_set(err, ST_BAD_INPUT, "the reply is empty");
    if (is_too_deep(text))
        return error_set(err, ST_TOO_LARGE, "JSON nested more than %d deep",
                         REPLY_PARSE_MAX_DEPTH);
    json_t *value =
        json_loadb(text.at, text.n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value)
        return error_set(err, ST_BAD_INPUT, "the reply is not one JSON value: %s (byte %d)",
                         why.text, why.position);
    *out = value;
    return ST_OK;
}

/* Where the value that opens at text.at[0] closes, as a length; 0 if it never does. */
static size_t balanced_length(struct span text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        const char c = text.at[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (--depth == 0) return i + 1;
        }
    }
    return 0;
}

/* Try each opening bracket in turn; the number of tries is bounded, so the work is linear. */
static status_t parse_among_prose(struct span text, json_t **out, struct error *err)
{
    size_t n_starts = 0;
    for (size_t i = 0; i < text.n_bytes && n_starts < REPLY_PARSE_MAX_STARTS; i++) {
        if (text.at[i] != '{' && text.at[i] != '[') continue;
        n_starts++;
        struct span value = {text.at + i, text.n_bytes - i};
        value.n_bytes = balanced_length(value);
        if (value.n_bytes && parse_whole(value, out, NULL) == ST_OK) return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT, "the reply holds no JSON object or array");
}

status_t reply_parse_json(const char *content, size_t n_bytes, enum reply_parse_mode mode,
                          json_t **out, struct error *err)
{
    const struct span text = {content, n_bytes};
    struct error strict;
    if (n_bytes > REPLY_PARSE_MAX_BYTES)
        return error_set(err, ST_TOO_LARGE, "reply of %zu bytes, at most %d", n_bytes,
                         REPLY_PARSE_MAX_BYTES);
    error_clear(&strict);
    const status_t status = parse_whole(inside_fence(text), out, &strict);
    if (status == ST_OK) return ST_OK;
    if (mode == REPLY_REPAIR && status == ST_BAD_INPUT) return parse_among_prose(text, out, err);
    return error_set(err, status, "%s", strict.text);
}
