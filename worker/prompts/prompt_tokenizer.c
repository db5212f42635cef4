#include "worker/prompts/prompt_tokenizer.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 16 * 1024 * 1024, WORD_MAX_BYTES = 128 };

void token_text_fini(struct token_text *text)
{
    token_list_fini(&text->tokens);
    free(text->ends);
    *text = (struct token_text){.ends = NULL};
}

status_t prompt_tokenizer_check_id(const struct prompt_tokenizer *self, uint32_t id,
                                   struct error *err)
{
    if (id < self->n_vocab) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "token %u: the model has %zu", (unsigned)id, self->n_vocab);
}

status_t prompt_tokenizer_text(const struct prompt_tokenizer *self, const uint32_t *ids,
                               size_t n_ids, struct buffer *out, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n_ids && status == ST_OK; i++) {
        status = tokenizer_token_text(self->tokenizer, ids[i], out, err);
        if (status != ST_BAD_INPUT) continue; /* rows of an embedding that are no token */
        error_clear(err);
        status = ST_OK;
    }
    return status;
}

static void tick(const struct prompt_tokenizer *self)
{
    if (self->ticks) (void)atomic_fetch_add(self->ticks, 1);
}

/* --- texts --------------------------------------------------------------------------------- */

/* The tokens' own texts, joined, are the text, or the text behind one space that the tokenizer put
 * in front. */
static status_t find_ends(const struct prompt_tokenizer *self, const char *text, size_t n_bytes,
                          struct token_text *out, struct error *err)
{
    const size_t n_bos = self->bos.n_bos;
    struct buffer joined;
    size_t n_lead = 0;
    status_t status = ST_OK;
    buffer_init(&joined, TEXT_MAX_BYTES);
    for (size_t i = 0; i < out->tokens.n_ids && status == ST_OK; i++) {
        if (i >= n_bos) status = prompt_tokenizer_text(self, out->tokens.ids + i, 1, &joined, err);
        out->ends[i] = joined.n_bytes;
    }
    if (status == ST_OK && joined.n_bytes == n_bytes + 1 && joined.bytes[0] == ' ') n_lead = 1;
    out->has_ends = status == ST_OK && joined.n_bytes == n_bytes + n_lead &&
                    memcmp(joined.bytes + n_lead, text, n_bytes) == 0;
    for (size_t i = 0; i < out->tokens.n_ids; i++)
        if (out->ends[i] >= n_lead) out->ends[i] -= n_lead;
    buffer_fini(&joined);
    return status;
}

static status_t check_tokens(const struct prompt_tokenizer *self, const struct token_list *tokens,
                             struct error *err)
{
    status_t status = ST_OK;
    if (tokens->n_ids <= self->bos.n_bos) return error_set(err, ST_BAD_INPUT, "has no token");
    if (tokens->n_ids > self->n_positions)
        return error_set(err, ST_BAD_INPUT, "has %zu tokens: the model has %zu positions",
                         tokens->n_ids, self->n_positions);
    for (size_t i = 0; i < tokens->n_ids && status == ST_OK; i++)
        status = prompt_tokenizer_check_id(self, tokens->ids[i], err);
    return status;
}

status_t prompt_tokenizer_encode(const struct prompt_tokenizer *self, const char *text,
                                 size_t n_bytes, struct token_text *out, struct error *err)
{
    struct token_text made = {.ends = NULL};
    tick(self);
    status_t status = token_list_append(&made.tokens, &self->bos.bos, self->bos.n_bos, err);
    if (status == ST_OK)
        status = tokenizer_encode(self->tokenizer, text, n_bytes, false, &made.tokens, err);
    if (status == ST_OK) status = check_tokens(self, &made.tokens, err);
    if (status == ST_OK && !(made.ends = calloc(made.tokens.n_ids, sizeof *made.ends)))
        status = error_set(err, ST_NO_MEMORY, "%zu tokens", made.tokens.n_ids);
    if (status == ST_OK) status = find_ends(self, text, n_bytes, &made, err);
    if (status == ST_OK)
        *out = made;
    else
        token_text_fini(&made);
    return status;
}

/* --- continuations ------------------------------------------------------------------------- */

static status_t encode_both(const struct prompt_tokenizer *self, const char *text, const char *more,
                            struct token_list *before, struct token_list *whole, struct error *err)
{
    struct buffer joined;
    tick(self);
    buffer_init(&joined, TEXT_MAX_BYTES);
    status_t status = buffer_printf(&joined, err, "%s%s", text, more);
    if (status == ST_OK)
        status = tokenizer_encode(self->tokenizer, text, strlen(text), false, before, err);
    if (status == ST_OK)
        status = tokenizer_encode(self->tokenizer, (const char *)joined.bytes, joined.n_bytes,
                                  false, whole, err);
    buffer_fini(&joined);
    return status;
}

status_t prompt_tokenizer_continue(const struct prompt_tokenizer *self, const char *text,
                                   const char *more, struct token_list *out, bool *extends,
                                   struct error *err)
{
    struct token_list before = {0}, whole = {0};
    status_t status = encode_both(self, text, more, &before, &whole, err);
    const size_t n = before.n_ids;
    out->n_ids = 0;
    *extends = status == ST_OK && whole.n_ids >= n &&
               (n == 0 || memcmp(whole.ids, before.ids, n * sizeof *whole.ids) == 0);
    if (*extends && whole.n_ids > n)
        status = token_list_append(out, whole.ids + n, whole.n_ids - n, err);
    token_list_fini(&before);
    token_list_fini(&whole);
    return status;
}

/* A token of the unknown would be one token too. */
static status_t is_text_of(const struct prompt_tokenizer *self, uint32_t id, const char *text,
                           bool *out, struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, TEXT_MAX_BYTES);
    const status_t status = prompt_tokenizer_text(self, &id, 1, &bytes, err);
    *out = status == ST_OK && bytes.n_bytes == strlen(text) &&
           memcmp(bytes.bytes, text, bytes.n_bytes) == 0;
    buffer_fini(&bytes);
    return status;
}

status_t prompt_tokenizer_word(const struct prompt_tokenizer *self, const char *word, uint32_t *id,
                               bool *is_token, struct error *err)
{
    char spaced[WORD_MAX_BYTES];
    struct token_list tokens = {0};
    const int n = snprintf(spaced, sizeof spaced, " %s", word);
    *is_token = false;
    if (n < 0 || (size_t)n >= sizeof spaced) return ST_OK;
    status_t status = prompt_tokenizer_continue(self, "so", spaced, &tokens, is_token, err);
    *is_token = *is_token && tokens.n_ids == 1 && tokens.ids[0] < self->n_vocab;
    if (*is_token) {
        *id = tokens.ids[0];
        status = is_text_of(self, *id, spaced, is_token, err);
    }
    token_list_fini(&tokens);
    return status;
}
