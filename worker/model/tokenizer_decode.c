/* Token ids back to text. */
#include "worker/model/tokenizer_parts.h"

static status_t find_spelling(const struct tokenizer *tokenizer, uint32_t id, const char **bytes,
                              size_t *n_bytes, struct error *err)
{
    if (tokenizer_spelling(tokenizer, id, bytes, n_bytes)) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "%u is no token id of this vocabulary (%zu ids)", id,
                     tokenizer_vocab_size(tokenizer));
}

static status_t list_spellings(const struct tokenizer *tokenizer, const uint32_t *ids, size_t n_ids,
                               struct string_list *out, struct error *err)
{
    out->text.n_bytes = 0;
    out->n_strings = 0;
    for (size_t i = 0; i < n_ids; i++) {
        const char *bytes;
        size_t n_bytes;
        status_t status = find_spelling(tokenizer, ids[i], &bytes, &n_bytes, err);
        if (status == ST_OK) status = buffer_append(&out->text, bytes, n_bytes, err);
        if (status == ST_OK) status = string_list_end(out, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

status_t tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids, size_t n_ids,
                          struct buffer *out, struct error *err)
{
    struct tokenizer_context *context = NULL;
    const size_t n_before = out->n_bytes;
    status_t status = tokenizer_context_take(tokenizer, &context, err);
    if (status != ST_OK) return status;
    status = list_spellings(tokenizer, ids, n_ids, &context->strings, err);
    if (status == ST_OK)
        status = token_decoder_run(&tokenizer->decoder, context->cursor, &context->strings,
                                   &context->spare_strings, out, err);
    tokenizer_context_give(tokenizer, context);
    if (status != ST_OK) out->n_bytes = n_before;
    return status;
}

status_t tokenizer_token_text(const struct tokenizer *tokenizer, uint32_t id, struct buffer *out,
                              struct error *err)
{
    const char *bytes;
    size_t n_bytes;
    struct tokenizer_context *context = NULL;
    status_t status = find_spelling(tokenizer, id, &bytes, &n_bytes, err);
    if (status == ST_OK) status = tokenizer_context_take(tokenizer, &context, err);
    if (status != ST_OK) return status;
    status = token_decoder_show(&tokenizer->decoder, context->cursor, bytes, n_bytes, out, err);
    tokenizer_context_give(tokenizer, context);
    return status;
}
