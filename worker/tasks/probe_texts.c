#include "worker/tasks/probe_texts.h"

#include "worker/model/bos_choice.h"
#include "worker/model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES_MAX_BYTES = 4 * 1024 * 1024 };

struct probe_texts {
    struct tokenizer *tokenizer;
    size_t n_vocab, n_ctx;
    struct bos_choice bos;
    bool with_pieces;
};

status_t probe_texts_open(struct probe_texts **out, const struct probe_texts_params *params,
                          struct error *err)
{
    struct probe_texts *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "probe texts");
    self->n_vocab = params->n_vocab;
    self->n_ctx = params->n_ctx;
    self->with_pieces = params->with_pieces;
    status_t status = tokenizer_open(&self->tokenizer, params->directory, err);
    if (status == ST_OK)
        status = bos_choose(&self->bos, self->tokenizer, params->bos, params->directory, err);
    if (status == ST_OK)
        *out = self;
    else
        probe_texts_close(&self);
    return status;
}

void probe_texts_close(struct probe_texts **texts)
{
    if (!*texts) return;
    tokenizer_close(&(*texts)->tokenizer);
    free(*texts);
    *texts = NULL;
}

const struct tokenizer *probe_texts_tokenizer(const struct probe_texts *texts)
{
    return texts->tokenizer;
}

void probe_rows_fini(struct probe_rows *rows)
{
    token_list_fini(&rows->tokens);
}

/* --- one text ------------------------------------------------------------------------------ */

static status_t append_row(const struct probe_texts *self, struct wire_text text,
                           struct token_list *tokens, struct probe_row *row, bool *is_cut,
                           struct error *err)
{
    row->first = tokens->n_ids;
    row->n_bos = self->bos.n_bos;
    status_t status = token_list_append(tokens, &self->bos.bos, self->bos.n_bos, err);
    if (status == ST_OK)
        status = tokenizer_encode(self->tokenizer, text.bytes, text.n_bytes, false, tokens, err);
    row->n_tokens = tokens->n_ids - row->first;
    *is_cut = row->n_tokens > self->n_ctx;
    if (!*is_cut) return status;
    row->n_tokens = self->n_ctx;
    tokens->n_ids = row->first + row->n_tokens;
    return status;
}

static struct probe_answer check_row(const struct probe_texts *self, const uint32_t *ids,
                                     const struct probe_row *row)
{
    if (row->n_tokens <= row->n_bos) return probe_answer_of_error("empty after tokenization");
    for (size_t i = 0; i < row->n_tokens; i++)
        if (ids[i] >= self->n_vocab) {
            char text[PROBE_ERROR_SIZE];
            (void)snprintf(text, sizeof text, "token id %u is not among the model's %zu",
                           (unsigned)ids[i], self->n_vocab);
            return probe_answer_of_error(text);
        }
    return (struct probe_answer){0};
}

static status_t append_pieces(const struct probe_texts *self, struct probe_answer *answer,
                              struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, PIECES_MAX_BYTES);
    answer->pieces = malloc((answer->n_tokens + 1) * sizeof *answer->pieces);
    status_t status = answer->pieces ? ST_OK : error_set(err, ST_NO_MEMORY, "pieces of a probe");
    for (size_t i = 0; i < answer->n_tokens && status == ST_OK; i++) {
        const size_t before = bytes.n_bytes;
        status = tokenizer_token_text(self->tokenizer, answer->tokens[i], &bytes, err);
        answer->pieces[i].n_bytes = bytes.n_bytes - before;
    }
    if (status == ST_OK && !(answer->piece_bytes = malloc(bytes.n_bytes + 1)))
        status = error_set(err, ST_NO_MEMORY, "pieces of a probe");
    for (size_t i = 0, at = 0; status == ST_OK && i < answer->n_tokens; i++) {
        answer->pieces[i].bytes = answer->piece_bytes + at;
        at += answer->pieces[i].n_bytes;
    }
    if (status == ST_OK && bytes.n_bytes) memcpy(answer->piece_bytes, bytes.bytes, bytes.n_bytes);
    buffer_fini(&bytes);
    return status;
}

static status_t make_answer(const struct probe_texts *self, const uint32_t *ids,
                            const struct probe_row *row, bool is_cut, struct probe_answer *out,
                            struct error *err)
{
    *out = check_row(self, ids, row);
    if (out->error[0]) return ST_OK;
    const size_t n = row->n_tokens - row->n_bos;
    out->is_cut = is_cut;
    out->n_tokens = n;
    out->tokens = malloc(n * sizeof *out->tokens);
    out->activations = calloc(n, sizeof *out->activations);
    if (!out->tokens || !out->activations)
        return error_set(err, ST_NO_MEMORY, "a probe of %zu tokens", n);
    memcpy(out->tokens, ids + row->n_bos, n * sizeof *out->tokens);
    return self->with_pieces ? append_pieces(self, out, err) : ST_OK;
}

status_t probe_texts_read(const struct probe_texts *texts, const struct probe_unit *unit,
                          struct probe_rows *rows, struct probe_answer *answers, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < unit->n_probes && status == ST_OK; i++) {
        struct probe_row *row = &rows->rows[i];
        bool is_cut;
        status = append_row(texts, unit->probes[i].text, &rows->tokens, row, &is_cut, err);
        if (status == ST_OK)
            status =
                make_answer(texts, rows->tokens.ids + row->first, row, is_cut, &answers[i], err);
    }
    return status;
}
