/* Any bytes as token ids or as texts: refused, or a batch that comes back from its own encoding. */
#include "common/evidence_zstd.h"
#include "common/token_batch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct token_batch *batch)
{
    struct token_batch again;
    struct buffer bytes;
    struct error err = {.status = ST_OK};
    buffer_init(&bytes, TOKEN_BATCH_MAX_BYTES);
    if (token_batch_encode(batch, &bytes, &err) != ST_OK) abort();
    if (token_batch_decode(bytes.bytes, bytes.n_bytes, &again, &err) != ST_OK) abort();
    if (again.n_all_tokens != batch->n_all_tokens ||
        memcmp(again.tokens, batch->tokens, again.n_all_tokens * sizeof *again.tokens) != 0)
        abort();
    token_batch_fini(&again);
    buffer_fini(&bytes);
}

static void decode(const void *bytes, size_t n_bytes)
{
    struct token_batch batch;
    struct wire_parts parts;
    struct buffer plain;
    struct error err = {.status = ST_OK};
    if (token_batch_decode(bytes, n_bytes, &batch, &err) == ST_OK) {
        check_round_trip(&batch);
        token_batch_fini(&batch);
    }
    error_clear(&err);
    buffer_init(&plain, TOKEN_BATCH_MAX_BYTES);
    (void)!token_batch_decode_texts(bytes, n_bytes, &plain, &parts, &err);
    buffer_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer packed;
    struct error err = {.status = ST_OK};
    if (size == 0) return 0;
    if (data[0] & 1) {
        decode(data + 1, size - 1);
        return 0;
    }
    buffer_init(&packed, TOKEN_BATCH_MAX_BYTES);
    if (evidence_compress(data + 1, size - 1, &packed, &err) == ST_OK)
        decode(packed.bytes, packed.n_bytes);
    buffer_fini(&packed);
    return 0;
}
