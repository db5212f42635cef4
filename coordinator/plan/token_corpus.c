#include "coordinator/plan/token_corpus_parts.h"

#include "common/hash.h"
#include "common/size.h"

#include <stdlib.h>
#include <string.h>

enum { WIDE_TOKEN = 1 << 16 }; /* from here on a token needs 4 bytes */

status_t token_corpus_create(struct token_corpus **out, struct error *err)
{
    struct token_corpus *corpus = calloc(1, sizeof *corpus);
    if (!corpus) return error_set(err, ST_NO_MEMORY, "token corpus");
    corpus->token_bytes = 2;
    *out = corpus;
    return ST_OK;
}

void token_corpus_destroy(struct token_corpus **corpus)
{
    if (!corpus || !*corpus) return;
    free((*corpus)->documents);
    free((*corpus)->keys);
    free((*corpus)->ids);
    free((*corpus)->tokens);
    free(*corpus);
    *corpus = NULL;
}

/* Room for n_more items of item_size behind n_used in *array. */
static bool reserve(void **array, size_t *capacity, size_t n_used, size_t n_more, size_t item_size)
{
    size_t wanted, n_bytes, grown = *capacity ? *capacity : 64;
    void *bigger;
    if (!size_add(n_used, n_more, &wanted)) return false;
    if (wanted <= *capacity) return true;
    while (grown < wanted)
        if (!size_mul(grown, 2, &grown)) return false;
    if (!size_mul(grown, item_size, &n_bytes)) return false;
    bigger = realloc(*array, n_bytes);
    if (!bigger) return false;
    *array = bigger;
    *capacity = grown;
    return true;
}

static bool reserve_document(struct token_corpus *corpus, size_t n_id_bytes, size_t n_token_bytes)
{
    void *documents = corpus->documents, *keys = corpus->keys, *ids = corpus->ids;
    void *tokens = corpus->tokens;
    size_t key_capacity = corpus->document_capacity;
    const bool is_ok =
        reserve(&keys, &key_capacity, corpus->n_documents, 1, sizeof *corpus->keys) &&
        reserve(&documents, &corpus->document_capacity, corpus->n_documents, 1,
                sizeof *corpus->documents) &&
        reserve(&ids, &corpus->id_capacity, corpus->n_id_bytes, n_id_bytes, 1) &&
        reserve(&tokens, &corpus->token_capacity, corpus->n_token_bytes, n_token_bytes, 1);
    corpus->documents = documents;
    corpus->keys = keys;
    corpus->ids = ids;
    corpus->tokens = tokens;
    return is_ok;
}

/* From 2 to 4 bytes a token. */
static bool widen(struct token_corpus *corpus)
{
    const uint16_t *narrow = (const uint16_t *)(const void *)corpus->tokens;
    const size_t n = (size_t)corpus->n_tokens;
    uint32_t *wide = malloc((n ? n : 1) * sizeof *wide);
    if (!wide) return false;
    for (size_t i = 0; i < n; i++) wide[i] = narrow[i];
    free(corpus->tokens);
    corpus->tokens = (unsigned char *)wide;
    corpus->token_capacity = corpus->n_token_bytes = n * sizeof *wide;
    corpus->token_bytes = 4;
    return true;
}

static void append_tokens(struct token_corpus *corpus, const uint32_t *tokens, size_t n_tokens)
{
    unsigned char *end = corpus->tokens + corpus->n_token_bytes;
    if (corpus->token_bytes == 4) {
        memcpy(end, tokens, n_tokens * sizeof *tokens);
    } else {
        uint16_t *narrow = (uint16_t *)(void *)end;
        for (size_t i = 0; i < n_tokens; i++) narrow[i] = (uint16_t)tokens[i];
    }
    corpus->n_tokens += n_tokens;
    corpus->n_token_bytes += n_tokens * corpus->token_bytes;
}

static status_t check_document(const struct token_corpus *corpus, uint32_t corpus_index,
                               const char *id, size_t n_tokens, struct error *err)
{
    const size_t n = corpus->n_documents;
    if (corpus_index >= TOKEN_CORPUS_MAX_CORPORA ||
        (n && corpus_index < corpus->documents[n - 1].corpus_index))
        return error_set(err, ST_BAD_INPUT, "document %.80s: corpus %u out of order", id,
                         corpus_index);
    if (!*id || strlen(id) > TOKEN_CORPUS_MAX_ID_BYTES)
        return error_set(err, ST_BAD_INPUT, "document %zu: id of %zu bytes; 1 to %d are allowed", n,
                         strlen(id), TOKEN_CORPUS_MAX_ID_BYTES);
    if (n_tokens == 0) return error_set(err, ST_BAD_INPUT, "document %.80s: no token", id);
    if (n_tokens > TOKEN_CORPUS_MAX_DOCUMENT_TOKENS || n >= EVIDENCE_MAX_DOCUMENTS ||
        corpus->n_tokens + n_tokens > TOKEN_CORPUS_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "document %.80s: too many documents or tokens", id);
    return ST_OK;
}

static uint32_t max_of(const uint32_t *tokens, size_t n_tokens, uint32_t most)
{
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] > most) most = tokens[i];
    return most;
}

status_t token_corpus_add(struct token_corpus *corpus, uint32_t corpus_index, const char *id,
                          const uint32_t *tokens, size_t n_tokens, struct error *err)
{
    const size_t n_id_bytes = strlen(id) + 1;
    status_t status = check_document(corpus, corpus_index, id, n_tokens, err);
    if (status != ST_OK) return status;
    const uint32_t max_token = max_of(tokens, n_tokens, corpus->max_token);
    if ((max_token >= WIDE_TOKEN && corpus->token_bytes == 2 && !widen(corpus)) ||
        !reserve_document(corpus, n_id_bytes, n_tokens * corpus->token_bytes))
        return error_set(err, ST_NO_MEMORY, "document %.80s of %zu tokens", id, n_tokens);
    corpus->max_token = max_token;
    corpus->documents[corpus->n_documents] =
        (struct stored_document){.content_key = hash_name64(tokens, n_tokens * sizeof *tokens),
                                 .first_token = corpus->n_tokens,
                                 .id_offset = corpus->n_id_bytes,
                                 .corpus_index = corpus_index,
                                 .n_tokens = (uint32_t)n_tokens};
    corpus->keys[corpus->n_documents++] = hash_name64(id, n_id_bytes - 1);
    memcpy(corpus->ids + corpus->n_id_bytes, id, n_id_bytes);
    corpus->n_id_bytes += n_id_bytes;
    append_tokens(corpus, tokens, n_tokens);
    return ST_OK;
}

size_t token_corpus_n_documents(const struct token_corpus *corpus)
{
    return corpus->n_documents;
}

uint64_t token_corpus_n_tokens(const struct token_corpus *corpus)
{
    return corpus->n_tokens;
}

uint32_t token_corpus_max_token(const struct token_corpus *corpus)
{
    return corpus->max_token;
}

struct token_document token_corpus_document(const struct token_corpus *corpus,
                                            size_t document_index)
{
    const struct stored_document *stored = &corpus->documents[document_index];
    return (struct token_document){.id = corpus->ids + stored->id_offset,
                                   .key = corpus->keys[document_index],
                                   .content_key = stored->content_key,
                                   .corpus_index = stored->corpus_index,
                                   .n_tokens = stored->n_tokens};
}

struct evidence_documents token_corpus_keys(const struct token_corpus *corpus)
{
    return (struct evidence_documents){corpus->keys, corpus->n_documents};
}

bool token_corpus_read(const struct token_corpus *corpus, size_t document_index, uint32_t offset,
                       size_t n, uint32_t *out)
{
    const struct stored_document *stored;
    const unsigned char *from;
    if (document_index >= corpus->n_documents) return false;
    stored = &corpus->documents[document_index];
    if (offset > stored->n_tokens || n > stored->n_tokens - offset) return false;
    if (n == 0) return true;
    from = corpus->tokens + (size_t)(stored->first_token + offset) * corpus->token_bytes;
    if (corpus->token_bytes == 4) {
        memcpy(out, from, n * sizeof *out);
        return true;
    }
    const uint16_t *narrow = (const uint16_t *)(const void *)from;
    for (size_t i = 0; i < n; i++) out[i] = narrow[i];
    return true;
}
