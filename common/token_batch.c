#include "common/token_batch.h"

#include "common/evidence_bytes.h"
#include "common/evidence_zstd.h"

#include <stdlib.h>

enum { U32_BYTES = 4 };

static status_t compress_and_free(struct buffer *plain, status_t status, struct buffer *out,
                                  struct error *err)
{
    if (status == ST_OK) status = evidence_compress(plain->bytes, plain->n_bytes, out, err);
    buffer_fini(plain);
    return status;
}

status_t token_batch_encode_texts(const struct wire_text *texts, size_t n_documents,
                                  struct buffer *out, struct error *err)
{
    struct buffer plain;
    buffer_init(&plain, TOKEN_BATCH_MAX_BYTES);
    const status_t status = wire_parts_encode(texts, n_documents, &plain, err);
    return compress_and_free(&plain, status, out, err);
}

status_t token_batch_decode_texts(const void *bytes, size_t n_bytes, struct buffer *plain,
                                  struct wire_parts *out, struct error *err)
{
    const status_t status = evidence_decompress(bytes, n_bytes, TOKEN_BATCH_MAX_BYTES, plain, err);
    return status == ST_OK ? wire_parts_decode(plain->bytes, plain->n_bytes, out, err) : status;
}

status_t token_batch_encode(const struct token_batch *batch, struct buffer *out, struct error *err)
{
    struct buffer plain;
    void *room;
    buffer_init(&plain, TOKEN_BATCH_MAX_BYTES);
    const size_t n_bytes = (1 + batch->n_documents + batch->n_all_tokens) * U32_BYTES;
    const status_t status = buffer_reserve(&plain, n_bytes, &room, err);
    if (status == ST_OK) {
        unsigned char *at = evidence_put_u32(room, (uint32_t)batch->n_documents);
        for (size_t i = 0; i < batch->n_documents; i++)
            at = evidence_put_u32(at, batch->n_tokens[i]);
        for (size_t i = 0; i < batch->n_all_tokens; i++)
            at = evidence_put_u32(at, batch->tokens[i]);
        plain.n_bytes = n_bytes;
    }
    return compress_and_free(&plain, status, out, err);
}

/* The counts add up to the bytes there are, or the batch is refused. */
static status_t read_counts(struct evidence_cursor *cursor, struct token_batch *batch,
                            struct error *err)
{
    batch->n_documents = evidence_get_u32(cursor);
    if (cursor->is_bad || batch->n_documents > evidence_left(cursor) / U32_BYTES)
        return error_set(err, ST_CORRUPT, "token batch: cut off");
    batch->n_tokens = malloc((batch->n_documents + 1) * sizeof *batch->n_tokens);
    if (!batch->n_tokens) return error_set(err, ST_NO_MEMORY, "token batch");
    for (size_t i = 0; i < batch->n_documents; i++) {
        batch->n_tokens[i] = evidence_get_u32(cursor);
        batch->n_all_tokens += batch->n_tokens[i];
    }
    if (evidence_left(cursor) != batch->n_all_tokens * U32_BYTES)
        return error_set(err, ST_CORRUPT, "token batch: counts do not add up");
    return ST_OK;
}

static status_t read_batch(const struct buffer *plain, struct token_batch *batch, struct error *err)
{
    struct evidence_cursor cursor = {plain->bytes, plain->bytes + plain->n_bytes, false};
    const status_t status = read_counts(&cursor, batch, err);
    if (status != ST_OK) return status;
    batch->tokens = malloc((batch->n_all_tokens + 1) * sizeof *batch->tokens);
    if (!batch->tokens) return error_set(err, ST_NO_MEMORY, "token batch");
    for (size_t i = 0; i < batch->n_all_tokens; i++) batch->tokens[i] = evidence_get_u32(&cursor);
    return ST_OK;
}

status_t token_batch_decode(const void *bytes, size_t n_bytes, struct token_batch *out,
                            struct error *err)
{
    struct buffer plain;
    struct token_batch batch = {0};
    buffer_init(&plain, TOKEN_BATCH_MAX_BYTES);
    status_t status = evidence_decompress(bytes, n_bytes, TOKEN_BATCH_MAX_BYTES, &plain, err);
    if (status == ST_OK) status = read_batch(&plain, &batch, err);
    buffer_fini(&plain);
    if (status == ST_OK)
        *out = batch;
    else
        token_batch_fini(&batch);
    return status;
}

void token_batch_fini(struct token_batch *batch)
{
    free(batch->n_tokens);
    free(batch->tokens);
    *batch = (struct token_batch){0};
}
