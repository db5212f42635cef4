/* The canonical bytes of a token corpus, all numbers little-endian:
 *
 *   "ITOK" u32 version | u64 n_raw_bytes | zstd frame of the raw bytes
 *   raw: u64 n_documents | u64 n_tokens | u64 n_id_bytes | u32 token_bytes | u32 0
 *        n_documents x { u32 corpus_index, u32 n_tokens }
 *        ids, each NUL-terminated | tokens
 *
 * Keys are computed again on reading, so a damaged file cannot claim them. */
#include "coordinator/plan/token_corpus_parts.h"

#include "common/size.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum {
    VERSION = 1,
    ENVELOPE_BYTES = 16,
    RAW_HEADER_BYTES = 32,
    DOCUMENT_BYTES = 8,
    COMPRESSION_LEVEL = 3
};
#define MAX_RAW_BYTES (UINT64_C(1) << 38)
static const unsigned char magic[4] = {'I', 'T', 'O', 'K'};

static void put_u32(unsigned char *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) at[i] = (unsigned char)(value >> (8 * i));
}

static void put_u64(unsigned char *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) at[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get_u64(const unsigned char *at)
{
    return get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

/* The width follows from the largest token alone, so equal corpora have equal bytes. */
static unsigned char *put_tokens(const struct token_corpus *corpus, unsigned char *at)
{
    for (uint64_t i = 0; i < corpus->n_tokens; i++) {
        if (corpus->token_bytes == 4) {
            put_u32(at, ((const uint32_t *)(const void *)corpus->tokens)[i]);
        } else {
            const uint16_t token = ((const uint16_t *)(const void *)corpus->tokens)[i];
            at[0] = (unsigned char)token;
            at[1] = (unsigned char)(token >> 8);
        }
        at += corpus->token_bytes;
    }
    return at;
}

static void write_raw(const struct token_corpus *corpus, unsigned char *raw)
{
    unsigned char *at = raw + RAW_HEADER_BYTES;
    put_u64(raw, corpus->n_documents);
    put_u64(raw + 8, corpus->n_tokens);
    put_u64(raw + 16, corpus->n_id_bytes);
    put_u32(raw + 24, corpus->token_bytes);
    put_u32(raw + 28, 0);
    for (size_t i = 0; i < corpus->n_documents; i++, at += DOCUMENT_BYTES) {
        put_u32(at, corpus->documents[i].corpus_index);
        put_u32(at + 4, corpus->documents[i].n_tokens);
    }
    if (corpus->n_id_bytes) memcpy(at, corpus->ids, corpus->n_id_bytes);
    (void)put_tokens(corpus, at + corpus->n_id_bytes);
}

static status_t compress(const unsigned char *raw, size_t n_raw, struct buffer *out,
                         struct error *err)
{
    const size_t bound = ZSTD_compressBound(n_raw);
    unsigned char *room;
    void *reserved;
    status_t status = buffer_reserve(out, ENVELOPE_BYTES + bound, &reserved, err);
    if (status != ST_OK) return status;
    room = reserved;
    memcpy(room, magic, sizeof magic);
    put_u32(room + 4, VERSION);
    put_u64(room + 8, n_raw);
    const size_t n = ZSTD_compress(room + ENVELOPE_BYTES, bound, raw, n_raw, COMPRESSION_LEVEL);
    if (ZSTD_isError(n))
        return error_set(err, ST_INTERNAL, "token corpus: %s", ZSTD_getErrorName(n));
    out->n_bytes += ENVELOPE_BYTES + n;
    return ST_OK;
}

status_t token_corpus_encode(const struct token_corpus *corpus, struct buffer *out,
                             struct error *err)
{
    size_t n_raw = RAW_HEADER_BYTES, n_table;
    unsigned char *raw;
    status_t status;
    if (!size_mul(corpus->n_documents, DOCUMENT_BYTES, &n_table) ||
        !size_add(n_raw, n_table, &n_raw) || !size_add(n_raw, corpus->n_id_bytes, &n_raw) ||
        !size_add(n_raw, corpus->n_token_bytes, &n_raw))
        return error_set(err, ST_TOO_LARGE, "token corpus");
    raw = malloc(n_raw);
    if (!raw) return error_set(err, ST_NO_MEMORY, "token corpus of %zu bytes", n_raw);
    write_raw(corpus, raw);
    status = compress(raw, n_raw, out, err);
    free(raw);
    return status;
}

/* --- reading ---------------------------------------------------------------------------- */

struct raw_view {
    const unsigned char *table, *ids, *tokens;
    size_t n_documents, n_id_bytes;
    uint64_t n_tokens;
    unsigned token_bytes;
};

static status_t corrupt(struct error *err, const char *what)
{
    return error_set(err, ST_CORRUPT, "token corpus: %s", what);
}

static status_t view_raw(const unsigned char *raw, size_t n_raw, struct raw_view *out,
                         struct error *err)
{
    struct raw_view view;
    size_t n_left, n_table, n_tokens;
    if (n_raw < RAW_HEADER_BYTES) return corrupt(err, "shorter than its header");
    n_left = n_raw - RAW_HEADER_BYTES;
    view.n_documents = get_u64(raw);
    view.n_tokens = get_u64(raw + 8);
    view.n_id_bytes = get_u64(raw + 16);
    view.token_bytes = get_u32(raw + 24);
    if (view.token_bytes != 2 && view.token_bytes != 4) return corrupt(err, "odd token size");
    if (!size_mul(view.n_documents, DOCUMENT_BYTES, &n_table) || n_table > n_left ||
        view.n_id_bytes > n_left - n_table ||
        !size_mul(view.n_tokens, view.token_bytes, &n_tokens) ||
        n_tokens != n_left - n_table - view.n_id_bytes)
        return corrupt(err, "counts do not add up to its size");
    view.table = raw + RAW_HEADER_BYTES;
    view.ids = view.table + n_table;
    view.tokens = view.ids + view.n_id_bytes;
    *out = view;
    return ST_OK;
}

static void read_tokens(const struct raw_view *view, uint64_t first, uint32_t n, uint32_t *out)
{
    const unsigned char *at = view->tokens + first * view->token_bytes;
    for (uint32_t i = 0; i < n; i++, at += view->token_bytes)
        out[i] = view->token_bytes == 4 ? get_u32(at) : (uint32_t)(at[0] | at[1] << 8);
}

static uint32_t longest_document(const struct raw_view *view)
{
    uint32_t most = 0;
    for (size_t i = 0; i < view->n_documents; i++) {
        const uint32_t n = get_u32(view->table + i * DOCUMENT_BYTES + 4);
        if (n > most) most = n;
    }
    return most;
}

/* Add every document again: the same checks as when it came in first. */
static status_t fill(struct token_corpus *corpus, const struct raw_view *view, uint32_t *tokens,
                     struct error *err)
{
    struct error cause = {.status = ST_OK};
    const char *id = (const char *)view->ids;
    size_t n_ids_left = view->n_id_bytes;
    uint64_t first = 0;
    for (size_t i = 0; i < view->n_documents; i++) {
        const uint32_t corpus_index = get_u32(view->table + i * DOCUMENT_BYTES);
        const uint32_t n_tokens = get_u32(view->table + i * DOCUMENT_BYTES + 4);
        const char *id_end = memchr(id, 0, n_ids_left);
        status_t status;
        if (!id_end) return corrupt(err, "an id without end");
        if (n_tokens > view->n_tokens - first) return corrupt(err, "more tokens than stored");
        read_tokens(view, first, n_tokens, tokens);
        status = token_corpus_add(corpus, corpus_index, id, tokens, n_tokens, &cause);
        if (status != ST_OK)
            return error_set(err, status == ST_BAD_INPUT ? ST_CORRUPT : status, "%s", cause.text);
        first += n_tokens;
        n_ids_left -= (size_t)(id_end + 1 - id);
        id = id_end + 1;
    }
    if (first != view->n_tokens || n_ids_left) return corrupt(err, "bytes that belong to nothing");
    return ST_OK;
}

static status_t decode_raw(struct token_corpus **out, const unsigned char *raw, size_t n_raw,
                           struct error *err)
{
    struct raw_view view = {0};
    struct token_corpus *corpus = NULL;
    uint32_t *tokens = NULL, most;
    status_t status = view_raw(raw, n_raw, &view, err);
    if (status != ST_OK) return status;
    most = longest_document(&view);
    if (most > view.n_tokens) return corrupt(err, "more tokens than stored");
    tokens = malloc((most ? most : 1) * sizeof *tokens);
    if (!tokens) return error_set(err, ST_NO_MEMORY, "token corpus");
    status = token_corpus_create(&corpus, err);
    if (status == ST_OK) status = fill(corpus, &view, tokens, err);
    free(tokens);
    if (status == ST_OK)
        *out = corpus;
    else
        token_corpus_destroy(&corpus);
    return status;
}

status_t token_corpus_decode(struct token_corpus **out, const void *bytes, size_t n_bytes,
                             struct error *err)
{
    const unsigned char *envelope = bytes;
    unsigned char *raw;
    uint64_t n_raw;
    size_t n;
    status_t status;
    if (n_bytes < ENVELOPE_BYTES || memcmp(envelope, magic, sizeof magic) != 0)
        return corrupt(err, "not such a file");
    if (get_u32(envelope + 4) != VERSION)
        return error_set(err, ST_PROTOCOL, "token corpus: version %u, this program reads %d",
                         get_u32(envelope + 4), VERSION);
    n_raw = get_u64(envelope + 8);
    if (n_raw > MAX_RAW_BYTES) return error_set(err, ST_TOO_LARGE, "token corpus: too large");
    /* A frame states its own size: a lying envelope is found before memory is taken for it. */
    if (ZSTD_getFrameContentSize(envelope + ENVELOPE_BYTES, n_bytes - ENVELOPE_BYTES) != n_raw)
        return corrupt(err, "sizes disagree");
    raw = malloc(n_raw ? n_raw : 1);
    if (!raw)
        return error_set(err, ST_NO_MEMORY, "token corpus of %llu bytes",
                         (unsigned long long)n_raw);
    n = ZSTD_decompress(raw, n_raw, envelope + ENVELOPE_BYTES, n_bytes - ENVELOPE_BYTES);
    status = ZSTD_isError(n) || n != n_raw ? corrupt(err, "damaged compression")
                                           : decode_raw(out, raw, n_raw, err);
    free(raw);
    return status;
}
