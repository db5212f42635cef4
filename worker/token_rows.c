#include "worker/token_rows.h"

#include "common/file.h"
#include "common/size.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void token_rows_fini(struct token_rows *rows)
{
    free(rows->tokens);
    free(rows->lengths);
    *rows = (struct token_rows){0};
}

static status_t check_ids(const uint32_t *ids, size_t n, size_t n_vocab, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= n_vocab)
            return error_set(err, ST_BAD_INPUT, "token %zu: id %u of %zu", i, ids[i], n_vocab);
    }
    return ST_OK;
}

/* Rows back to back in `all`, with their lengths, become one padded table. */
static status_t pad_rows(struct token_rows *out, const struct token_list *all,
                         const struct token_list *lengths, struct error *err)
{
    size_t n_bytes, at = 0;
    struct token_rows rows = {.n_rows = lengths->n_ids};
    for (size_t r = 0; r < rows.n_rows; r++) {
        if (lengths->ids[r] > rows.n_ctx) rows.n_ctx = lengths->ids[r];
    }
    if (!rows.n_rows) return error_set(err, ST_BAD_INPUT, "no tokens");
    if (!size_tensor(rows.n_rows, rows.n_ctx, sizeof *rows.tokens, &n_bytes) ||
        n_bytes / sizeof *rows.tokens > TOKEN_ROWS_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "%zu rows of up to %zu tokens", rows.n_rows,
                         rows.n_ctx);
    rows.tokens = calloc(n_bytes, 1);
    rows.lengths = malloc(rows.n_rows * sizeof *rows.lengths);
    if (!rows.tokens || !rows.lengths) {
        token_rows_fini(&rows);
        return error_set(err, ST_NO_MEMORY, "%zu bytes of tokens", n_bytes);
    }
    for (size_t r = 0; r < rows.n_rows; r++) {
        rows.lengths[r] = lengths->ids[r];
        memcpy(rows.tokens + r * rows.n_ctx, all->ids + at, lengths->ids[r] * sizeof *all->ids);
        at += lengths->ids[r];
    }
    *out = rows;
    return ST_OK;
}

static status_t parse_line(const char *line, size_t n_bytes, struct token_list *ids,
                           struct error *err)
{
    json_error_t where;
    json_t *root = json_loadb(line, n_bytes, 0, &where);
    if (!root) return error_set(err, ST_BAD_INPUT, "%s", where.text);
    const json_t *tokens = json_object_get(root, "tokens");
    status_t status = ST_OK;
    if (!json_is_array(tokens) || !json_array_size(tokens))
        status = error_set(err, ST_BAD_INPUT, "\"tokens\" is not a list of ids");
    for (size_t i = 0; status == ST_OK && i < json_array_size(tokens); i++) {
        const json_t *value = json_array_get(tokens, i);
        const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        const uint32_t token = (uint32_t)id;
        status = id < 0 || id > UINT32_MAX
                     ? error_set(err, ST_BAD_INPUT, "entry %zu is not a token id", i)
                     : token_list_append(ids, &token, 1, err);
    }
    json_decref(root);
    return status;
}

/* One line's row behind `all`, its length behind `lengths`. */
static status_t add_line(const char *line, size_t n_bytes, size_t n_vocab, size_t max_ctx,
                         struct token_list *all, struct token_list *lengths, struct error *err)
{
    const size_t before = all->n_ids;
    status_t status = parse_line(line, n_bytes, all, err);
    if (status != ST_OK) return status;
    const uint32_t length = (uint32_t)(all->n_ids - before);
    if (length > max_ctx)
        return error_set(err, ST_BAD_INPUT, "%u tokens, the most is %zu", length, max_ctx);
    status = check_ids(all->ids + before, length, n_vocab, err);
    return status == ST_OK ? token_list_append(lengths, &length, 1, err) : status;
}

status_t token_rows_read_jsonl(struct token_rows *out, const char *path, size_t n_vocab,
                               size_t max_ctx, struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    struct token_list all = {0}, lengths = {0};
    status_t status = file_read(path, TOKEN_ROWS_MAX_FILE_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    size_t number = 1;
    for (char *line = text; status == ST_OK && line < text + n_bytes; number++) {
        char *end = memchr(line, '\n', (size_t)(text + n_bytes - line));
        if (!end) end = text + n_bytes;
        if (end > line)
            status = add_line(line, (size_t)(end - line), n_vocab, max_ctx, &all, &lengths, err);
        if (status != ST_OK) status = error_wrap(err, "%s: line %zu", path, number);
        line = end + 1;
    }
    if (status == ST_OK) {
        status = pad_rows(out, &all, &lengths, err);
        if (status != ST_OK) status = error_wrap(err, "%s", path);
    }
    free(text);
    token_list_fini(&all);
    token_list_fini(&lengths);
    return status;
}

status_t token_rows_read_text(struct token_rows *out, const char *path,
                              const struct tokenizer *tokenizer, size_t n_vocab, size_t max_ctx,
                              struct error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    struct token_list all = {0}, lengths = {0};
    status_t status = file_read(path, TOKENIZER_MAX_TEXT_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    status = tokenizer_encode(tokenizer, text, n_bytes, true, &all, err);
    if (status == ST_OK) status = check_ids(all.ids, all.n_ids, n_vocab, err);
    for (size_t at = 0; status == ST_OK && at < all.n_ids; at += max_ctx) {
        const size_t left = all.n_ids - at;
        const uint32_t length = (uint32_t)(left < max_ctx ? left : max_ctx);
        status = token_list_append(&lengths, &length, 1, err);
    }
    if (status == ST_OK) status = pad_rows(out, &all, &lengths, err);
    if (status != ST_OK) status = error_wrap(err, "%s", path);
    free(text);
    token_list_fini(&all);
    token_list_fini(&lengths);
    return status;
}
