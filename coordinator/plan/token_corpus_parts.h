/* Inside the token corpus: shared by token_corpus.c and token_corpus_file.c alone. */
#ifndef COORDINATOR_PLAN_TOKEN_CORPUS_PARTS_H
#define COORDINATOR_PLAN_TOKEN_CORPUS_PARTS_H

#include "coordinator/plan/token_corpus.h"

struct stored_document {
    uint64_t content_key;
    uint64_t first_token; /* in the blob */
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
    unsigned char *tokens; /* [n_tokens] of token_bytes each, host order */
    uint64_t n_tokens;
    size_t n_token_bytes, token_capacity; /* bytes */
    unsigned token_bytes;                 /* 2 or 4 */
    uint32_t max_token;
};

#endif
