/* Encoding and the lookups; see tokenizer_load.c, tokenizer_decode.c for the rest. */
#include "worker/model/tokenizer.h"

#include "worker/model/tokenizer_parts.h"

#include <string.h>

/* ---- words ------------------------------------------------------------------------------ */

static status_t encode_known(const struct tokenizer *tokenizer, struct tokenizer_context *context,
                             const char *word, size_t n_bytes, struct token_list *out,
                             struct error *err)
{
    struct word_cache_slot *slot = word_cache_slot(&context->cache, word, n_bytes);
    if (slot->n_bytes == n_bytes && memcmp(slot->word, word, n_bytes) == 0)
        return token_list_append(out, slot->ids, slot->n_ids, err);
    const size_t n_before = out->n_ids;
    const status_t status = bpe_encode(&tokenizer->bpe, &context->merging, word, n_bytes, out, err);
    const size_t n_ids = out->n_ids - n_before;
    if (status != ST_OK || n_ids > WORD_CACHE_MAX_IDS) return status;
    slot->n_bytes = (uint8_t)n_bytes;
    slot->n_ids = (uint8_t)n_ids;
    memcpy(slot->word, word, n_bytes);
    if (n_ids) memcpy(slot->ids, out->ids + n_before, n_ids * sizeof *slot->ids);
    return ST_OK;
}

static status_t encode_words(const struct tokenizer *tokenizer, struct tokenizer_context *context,
                             struct token_list *out, struct error *err)
{
    const struct pretokenizer_scratch *words = &context->words;
    for (size_t i = 0; i < words->pieces.n_pieces; i++) {
        const struct text_piece *piece = &words->pieces.pieces[i];
        const char *word = words->text + piece->begin;
        const size_t n_bytes = piece->end - piece->begin;
        const status_t status =
            n_bytes <= WORD_CACHE_MAX_WORD_BYTES
                ? encode_known(tokenizer, context, word, n_bytes, out, err)
                : bpe_encode(&tokenizer->bpe, &context->merging, word, n_bytes, out, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

/* ---- text between added tokens ------------------------------------------------------------ */

/* Normalized text: cut out the added tokens that match there, then words. */
static status_t encode_normalized(const struct tokenizer *tokenizer,
                                  struct tokenizer_context *context, const char *text,
                                  size_t n_bytes, bool at_start, struct token_list *out,
                                  struct error *err)
{
    struct segment_list *segments = &context->normalized_segments;
    status_t status = added_tokens_split(&tokenizer->added, &tokenizer->added.normalized,
                                         context->cursor, text, n_bytes, segments, err);
    for (size_t i = 0; status == ST_OK && i < segments->n_segments; i++) {
        const struct text_segment *segment = &segments->segments[i];
        if (segment->id != TOKEN_NONE) {
            status = token_list_append(out, &segment->id, 1, err);
            continue;
        }
        status = pretokenizer_run(&tokenizer->pretokenizer, &context->words, context->cursor,
                                  text + segment->begin, segment->end - segment->begin,
                                  at_start && segment->begin == 0, err);
        if (status == ST_OK) status = encode_words(tokenizer, context, out, err);
    }
    return status;
}

static status_t encode_between(const struct tokenizer *tokenizer, struct tokenizer_context *context,
                               const char *text, size_t n_bytes, bool at_start,
                               struct token_list *out, struct error *err)
{
    if (tokenizer->normalizer.n_steps == 0)
        return encode_normalized(tokenizer, context, text, n_bytes, at_start, out, err);
    const status_t status = normalizer_apply(&tokenizer->normalizer, context->cursor, text, n_bytes,
                                             &context->normalized, &context->spare, err);
    if (status != ST_OK || context->normalized.n_bytes == 0) return status;
    return encode_normalized(tokenizer, context, (const char *)context->normalized.bytes,
                             context->normalized.n_bytes, at_start, out, err);
}

/* ---- a whole text ------------------------------------------------------------------------- */

static status_t encode_valid(const struct tokenizer *tokenizer, struct tokenizer_context *context,
                             const char *text, size_t n_bytes, struct token_list *out,
                             struct error *err)
{
    struct segment_list *segments = &context->raw_segments;
    status_t status = added_tokens_split(&tokenizer->added, &tokenizer->added.raw, context->cursor,
                                         text, n_bytes, segments, err);
    for (size_t i = 0; status == ST_OK && i < segments->n_segments; i++) {
        const struct text_segment *segment = &segments->segments[i];
        status = segment->id != TOKEN_NONE
                     ? token_list_append(out, &segment->id, 1, err)
                     : encode_between(tokenizer, context, text + segment->begin,
                                      segment->end - segment->begin, segment->begin == 0, out, err);
    }
    return status;
}

static status_t encode_bytes(const struct tokenizer *tokenizer, struct tokenizer_context *context,
                             const char *text, size_t n_bytes, struct token_list *out,
                             struct error *err)
{
    if (utf8_valid_prefix(text, n_bytes) == n_bytes)
        return encode_valid(tokenizer, context, text, n_bytes, out, err);
    context->repaired.n_bytes = 0;
    const status_t status = utf8_repair(text, n_bytes, &context->repaired, err);
    if (status != ST_OK) return status;
    return encode_valid(tokenizer, context, (const char *)context->repaired.bytes,
                        context->repaired.n_bytes, out, err);
}

status_t tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t n_bytes,
                          bool add_special, struct token_list *out, struct error *err)
{
    struct tokenizer_context *context = NULL;
    const size_t n_before = out->n_ids;
    const struct token_template *around = &tokenizer->around;
    if (n_bytes > TOKENIZER_MAX_TEXT_BYTES)
        return error_set(err, ST_TOO_LARGE, "a text of %zu bytes, at most %d are tokenized",
                         n_bytes, TOKENIZER_MAX_TEXT_BYTES);
    status_t status = tokenizer_context_take(tokenizer, &context, err);
    if (status != ST_OK) return status;
    if (add_special) status = token_list_append(out, around->before.ids, around->before.n_ids, err);
    if (status == ST_OK) status = encode_bytes(tokenizer, context, text, n_bytes, out, err);
    if (status == ST_OK && add_special)
        status = token_list_append(out, around->after.ids, around->after.n_ids, err);
    tokenizer_context_give(tokenizer, context);
    if (status != ST_OK) out->n_ids = n_before;
    return status;
}

/* ---- lookups ------------------------------------------------------------------------------- */

size_t tokenizer_vocab_size(const struct tokenizer *tokenizer)
{
    const size_t n_model = tokenizer->bpe.vocabulary.n_ids;
    const size_t n_added = tokenizer->added.vocabulary.n_ids;
    return n_model > n_added ? n_model : n_added;
}

bool tokenizer_spelling(const struct tokenizer *tokenizer, uint32_t id, const char **bytes,
                        size_t *n_bytes)
{
    return vocabulary_text(&tokenizer->added.spelled, id, bytes, n_bytes) ||
           vocabulary_text(&tokenizer->bpe.vocabulary, id, bytes, n_bytes);
}

bool tokenizer_find(const struct tokenizer *tokenizer, const char *token, uint32_t *id)
{
    const size_t n_bytes = strlen(token);
    uint32_t found = vocabulary_find(&tokenizer->added.vocabulary, token, n_bytes);
    if (found == TOKEN_NONE) found = vocabulary_find(&tokenizer->bpe.vocabulary, token, n_bytes);
    if (found == TOKEN_NONE) return false;
    *id = found;
    return true;
}

bool tokenizer_bos(const struct tokenizer *tokenizer, uint32_t *id)
{
    if (tokenizer->bos_id == TOKEN_NONE) return false;
    *id = tokenizer->bos_id;
    return true;
}

bool tokenizer_eos(const struct tokenizer *tokenizer, uint32_t *id)
{
    if (tokenizer->eos_id == TOKEN_NONE) return false;
    *id = tokenizer->eos_id;
    return true;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
    const struct token_list *before = &tokenizer->around.before;
    return before->n_ids > 0 && before->ids[0] == tokenizer->bos_id;
}

bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t id)
{
    for (size_t i = 0; i < tokenizer->added.n_tokens; i++)
        if (tokenizer->added.tokens[i].id == id) return tokenizer->added.tokens[i].is_special;
    return false;
}
