#include "worker/model/text_pattern.h"

#include "worker/model/json_fields.h"
#include "worker/model/utf8.h"

#include <stdlib.h>
#include <string.h>

status_t text_pattern_load(struct text_pattern *out, const json_t *value, struct error *err)
{
    const char *literal = NULL;
    const char *regex = NULL;
    struct text_pattern pattern = {0};
    status_t status = json_read_string(value, "String", NULL, &literal, err);
    if (status == ST_OK) status = json_read_string(value, "Regex", NULL, &regex, err);
    if (status != ST_OK) return status;
    if (!literal == !regex || (literal && !literal[0]))
        return error_set(err, ST_CORRUPT, "pattern is neither a String nor a Regex");
    if (regex) {
        status = regex_create(&pattern.regex, regex, err);
        if (status != ST_OK) return status;
    } else {
        pattern.n_literal = strlen(literal);
        pattern.literal = strdup(literal);
        if (!pattern.literal) return error_set(err, ST_NO_MEMORY, "pattern");
    }
    *out = pattern;
    return ST_OK;
}

void text_pattern_fini(struct text_pattern *pattern)
{
    free(pattern->literal);
    regex_destroy(&pattern->regex);
    *pattern = (struct text_pattern){0};
}

static bool find_literal(const struct text_pattern *pattern, const char *text, size_t n_bytes,
                         size_t from, size_t *begin, size_t *end)
{
    while (from + pattern->n_literal <= n_bytes) {
        const size_t n_starts = n_bytes - pattern->n_literal - from + 1;
        const char *hit = memchr(text + from, pattern->literal[0], n_starts);
        if (!hit) return false;
        from = (size_t)(hit - text);
        if (memcmp(hit, pattern->literal, pattern->n_literal) == 0) {
            *begin = from;
            *end = from + pattern->n_literal;
            return true;
        }
        from++;
    }
    return false;
}

status_t text_pattern_find(const struct text_pattern *pattern, struct regex_cursor *cursor,
                           const char *text, size_t n_bytes, size_t from, bool *found,
                           size_t *begin, size_t *end, struct error *err)
{
    if (pattern->regex)
        return regex_find(pattern->regex, cursor, text, n_bytes, from, found, begin, end, err);
    *found = find_literal(pattern, text, n_bytes, from, begin, end);
    return ST_OK;
}

/* Bytes of the character at `at`, which an empty match must step over. */
static size_t character_bytes(const char *text, size_t n_bytes, size_t at)
{
    size_t n_used = 1;
    if (at < n_bytes) (void)utf8_read(text + at, &n_used);
    return n_used;
}

status_t text_pattern_replace(const struct text_pattern *pattern, struct regex_cursor *cursor,
                              const char *text, size_t n_bytes, const char *content,
                              struct buffer *out, struct error *err)
{
    size_t copied = 0;
    size_t from = 0;
    while (from <= n_bytes) {
        bool found;
        size_t begin, end;
        status_t status =
            text_pattern_find(pattern, cursor, text, n_bytes, from, &found, &begin, &end, err);
        if (status != ST_OK) return status;
        if (!found) break;
        status = buffer_append(out, text + copied, begin - copied, err);
        if (status == ST_OK) status = buffer_append_text(out, content, err);
        if (status != ST_OK) return status;
        copied = end;
        from = end > begin ? end : end + character_bytes(text, n_bytes, end);
    }
    return buffer_append(out, text + copied, n_bytes - copied, err);
}
