/* Any bytes as a stored token corpus: refused, or a corpus that encodes to bytes which decode to
 * the same again. The first byte chooses whether the input is the file or what is inside its
 * compression (so that the fuzzer gets past the checksum). Built with -fsanitize=fuzzer. */
#include "coordinator/plan/token_corpus.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct token_corpus *corpus)
{
    struct buffer first, second;
    struct token_corpus *again = NULL;
    struct error err = {.status = ST_OK};
    buffer_init(&first, 1 << 28);
    buffer_init(&second, 1 << 28);
    if (token_corpus_encode(corpus, &first, &err) != ST_OK) abort();
    if (token_corpus_decode(&again, first.bytes, first.n_bytes, &err) != ST_OK) abort();
    if (token_corpus_encode(again, &second, &err) != ST_OK) abort();
    if (first.n_bytes != second.n_bytes || memcmp(first.bytes, second.bytes, first.n_bytes) != 0)
        abort();
    token_corpus_destroy(&again);
    buffer_fini(&first);
    buffer_fini(&second);
}

static void decode(const void *bytes, size_t n_bytes)
{
    struct token_corpus *corpus = NULL;
    struct error err = {.status = ST_OK};
    const status_t status = token_corpus_decode(&corpus, bytes, n_bytes, &err);
    if ((status == ST_OK) != (corpus != NULL)) abort();
    if (corpus) check_round_trip(corpus);
    token_corpus_destroy(&corpus);
}

static void decode_wrapped(const uint8_t *raw, size_t n_raw)
{
    const size_t bound = ZSTD_compressBound(n_raw);
    uint8_t *file = malloc(16 + bound);
    if (!file) return;
    memcpy(file, "ITOK\1\0\0\0", 8);
    for (unsigned i = 0; i < 8; i++) file[8 + i] = (uint8_t)((uint64_t)n_raw >> (8 * i));
    const size_t n = ZSTD_compress(file + 16, bound, raw, n_raw, 1);
    if (!ZSTD_isError(n)) decode(file, 16 + n);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    if (data[0] & 1)
        decode(data + 1, size - 1);
    else
        decode_wrapped(data + 1, size - 1);
    return 0;
}
