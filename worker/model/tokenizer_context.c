/* The pool of working memory behind a tokenizer. */
#include "worker/model/tokenizer_parts.h"

#include <stdlib.h>

enum {
    MAX_BUFFER_BYTES = INT32_MAX, /* offsets are 32 bits; a normalizer may lengthen a text */
    MAX_KEPT_BYTES = 16 << 20     /* of any one buffer in a context that is kept */
};

static status_t create_context(struct tokenizer_context **out, struct error *err)
{
    struct tokenizer_context *context = calloc(1, sizeof *context);
    if (!context) return error_set(err, ST_NO_MEMORY, "tokenizer context");
    buffer_init(&context->repaired, MAX_BUFFER_BYTES);
    buffer_init(&context->normalized, MAX_BUFFER_BYTES);
    buffer_init(&context->spare, MAX_BUFFER_BYTES);
    pretokenizer_scratch_init(&context->words, MAX_BUFFER_BYTES);
    string_list_init(&context->strings, MAX_BUFFER_BYTES);
    string_list_init(&context->spare_strings, MAX_BUFFER_BYTES);
    status_t status = regex_cursor_create(&context->cursor, err);
    if (status == ST_OK) status = word_cache_init(&context->cache, err);
    if (status == ST_OK)
        *out = context;
    else
        tokenizer_context_destroy(context);
    return status;
}

void tokenizer_context_destroy(struct tokenizer_context *context)
{
    regex_cursor_destroy(&context->cursor);
    buffer_fini(&context->repaired);
    buffer_fini(&context->normalized);
    buffer_fini(&context->spare);
    segment_list_fini(&context->raw_segments);
    segment_list_fini(&context->normalized_segments);
    pretokenizer_scratch_fini(&context->words);
    bpe_scratch_fini(&context->merging);
    word_cache_fini(&context->cache);
    string_list_fini(&context->strings);
    string_list_fini(&context->spare_strings);
    free(context);
}

status_t tokenizer_context_take(const struct tokenizer *tokenizer, struct tokenizer_context **out,
                                struct error *err)
{
    (void)pthread_mutex_lock(tokenizer->pool_lock);
    struct tokenizer_context *context = *tokenizer->pool;
    if (context) *tokenizer->pool = context->next;
    (void)pthread_mutex_unlock(tokenizer->pool_lock);
    if (!context) return create_context(out, err);
    *out = context;
    return ST_OK;
}

static bool is_oversized(const struct tokenizer_context *context)
{
    const size_t capacities[] = {
        context->repaired.capacity,
        context->normalized.capacity,
        context->spare.capacity,
        context->words.text_buffer.capacity,
        context->words.next_text.capacity,
        context->words.pieces.capacity * sizeof *context->words.pieces.pieces,
        context->words.next_pieces.capacity * sizeof *context->words.next_pieces.pieces,
        context->words.span_capacity * sizeof *context->words.spans,
        context->merging.symbol_capacity * sizeof *context->merging.symbols,
        context->merging.heap_capacity * sizeof *context->merging.heap,
        context->strings.text.capacity,
        context->spare_strings.text.capacity,
    };
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
        if (capacities[i] > MAX_KEPT_BYTES) return true;
    return false;
}

void tokenizer_context_give(const struct tokenizer *tokenizer, struct tokenizer_context *context)
{
    if (is_oversized(context)) {
        tokenizer_context_destroy(context);
        return;
    }
    (void)pthread_mutex_lock(tokenizer->pool_lock);
    context->next = *tokenizer->pool;
    *tokenizer->pool = context;
    (void)pthread_mutex_unlock(tokenizer->pool_lock);
}
