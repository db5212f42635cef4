#include "worker/prompts/user_prompts.h"

#include "worker/prompts/user_prompt_line.h"

#include <jansson.h>
#include <string.h>

static bool is_blank(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

static status_t print_line(const json_t *line, struct buffer *out, struct error *err)
{
    char *text = json_dumps(line, JSON_COMPACT);
    status_t status =
        text ? buffer_append_text(out, text, err) : error_set(err, ST_NO_MEMORY, "line");
    free(text);
    return status;
}

static status_t add_line(const struct prompt_tokenizer *tokenizer, const char *text, size_t n_bytes,
                         struct buffer *out, struct error *err)
{
    json_error_t where;
    json_t *line = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!line) return error_set(err, ST_BAD_INPUT, "%.160s", where.text);
    status_t status = user_prompt_line_tokenize(tokenizer, line, err);
    if (status == ST_OK) status = print_line(line, out, err);
    json_decref(line);
    return status;
}

static status_t add_lines(const struct prompt_tokenizer *tokenizer, const char *text,
                          size_t n_bytes, struct buffer *out, struct error *err)
{
    const char *end = text + n_bytes;
    size_t n_lines = 0, n_prompts = 0;
    status_t status = ST_OK;
    while (text < end && status == ST_OK) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const size_t n = (size_t)((newline ? newline : end) - text);
        n_lines++;
        if (!is_blank(text, n)) {
            status =
                n_prompts++ < PROMPTS_MAX_PROMPTS
                    ? add_line(tokenizer, text, n, out, err)
                    : error_set(err, ST_TOO_LARGE, "more than %d prompts", PROMPTS_MAX_PROMPTS);
        }
        if (status == ST_OK) status = buffer_append_text(out, "\n", err);
        if (status != ST_OK) return error_wrap(err, "line %zu", n_lines);
        text = newline ? newline + 1 : end;
    }
    return n_prompts ? ST_OK : error_set(err, ST_BAD_INPUT, "the prompt set is empty");
}

status_t user_prompts_tokenize(const struct prompt_tokenizer *tokenizer, const char *source,
                               const char *text, size_t n_bytes, struct buffer *out,
                               struct error *err)
{
    const size_t n_before = out->n_bytes;
    status_t status =
        n_bytes > PROMPTS_MAX_FILE_BYTES
            ? error_set(err, ST_TOO_LARGE, "more than %d bytes", PROMPTS_MAX_FILE_BYTES)
            : add_lines(tokenizer, text, n_bytes, out, err);
    if (status == ST_OK) return ST_OK;
    out->n_bytes = n_before;
    return error_wrap(err, "%s", source);
}
