#include "coordinator/plan/token_corpus.h"

#include "common/hash.h"
#include "common/size.h"
#include "coordinator/plan/token_file.h"

#include <stdlib.h>
#include <string.h>

struct stored_document {
    uint64_t content_key;
    uint64_t first_token; /* in the file */
    size_t id_offset;     /* in `ids` */
    uint32_t corpus_index;
    uint32_t n_tokens;
};

struct token_corpus {
    struct stored_document *documents; /* [n_documents] */
    uint64_t *keys;                    /* [n_documents] */
    size_t n_documents, document_capacity;
    char *ids; /* NUL-terminated, one after the other */
    size_t n_id_bytes, id_capacity;
    struct token_file *tokens; /* [n_tokens] */
    uint64_t n_tokens;
    uint32_t max_token;
};

status_t token_corpus_create(struct token_corpus **out, const char *directory, struct error *err)
{
    struct token_corpus *corpus = calloc(1, sizeof *corpus);
    if (!corpus) return error_set(err, ST_NO_MEMORY, "token corpus");
    const status_t status = token_file_create(&corpus->tokens, directory, err);
    if (status == ST_OK)
        *out = corpus;
    else
        free(corpus);
    return status;
}

void token_corpus_destroy(struct token_corpus **corpus)
{
    if (!corpus || !*corpus) return;
    free((*corpus)->documents);
    free((*corpus)->keys);
    free((*corpus)->ids);
    token_file_destroy(&(*corpus)->tokens);
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

static bool reserve_document(struct token_corpus *corpus, size_t n_id_bytes)
{
    void *documents = corpus->documents, *keys = corpus->keys, *ids = corpus->ids;
    size_t key_capacity = corpus->document_capacity;
    const bool is_ok =
        reserve(&keys, &key_capacity, corpus->n_documents, 1, sizeof *corpus->keys) &&
        reserve(&documents, &corpus->document_capacity, corpus->n_documents, 1,
                sizeof *corpus->documents) &&
        reserve(&ids, &corpus->id_capacity, corpus->n_id_bytes, n_id_bytes, 1);
    corpus->documents = documents;
    corpus->keys = keys;
    corpus->ids = ids;
    return is_ok;
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
    if (!reserve_document(corpus, n_id_bytes))
        return error_set(err, ST_NO_MEMORY, "document %.80s of %zu tokens", id, n_tokens);
    status = token_file_append(corpus->tokens, tokens, n_tokens, err);
    if (status != ST_OK) return status;
    corpus->max_token = max_of(tokens, n_tokens, corpus->max_token);
    corpus->documents[corpus->n_documents] =
        (struct stored_document){.content_key = hash_name64(tokens, n_tokens * sizeof *tokens),
                                 .first_token = corpus->n_tokens,
                                 .id_offset = corpus->n_id_bytes,
                                 .corpus_index = corpus_index,
                                 .n_tokens = (uint32_t)n_tokens};
    corpus->keys[corpus->n_documents++] = hash_name64(id, n_id_bytes - 1);
    memcpy(corpus->ids + corpus->n_id_bytes, id, n_id_bytes);
    corpus->n_id_bytes += n_id_bytes;
    corpus->n_tokens += n_tokens;
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

status_t token_corpus_read(const struct token_corpus *corpus, size_t document_index,
                           uint32_t offset, size_t n, uint32_t *out, struct error *err)
{
    if (document_index >= corpus->n_documents)
        return error_set(err, ST_CORRUPT, "document %zu: there are %zu", document_index,
                         corpus->n_documents);
    const struct stored_document *stored = &corpus->documents[document_index];
    if (offset > stored->n_tokens || n > stored->n_tokens - offset)
        return error_set(err, ST_CORRUPT, "document %.80s: token %u and %zu more of %u",
                         corpus->ids + stored->id_offset, offset, n, stored->n_tokens);
    return token_file_read(corpus->tokens, stored->first_token + offset, n, out, err);
}
