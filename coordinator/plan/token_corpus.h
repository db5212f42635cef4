/* All documents of a sweep as token ids: the main corpus (0) and the out-of-distribution
 * corpora (1, 2, ...), in the order in which they were read.
 *
 * A document's index never changes: documents are only added behind the last one. Its key is
 * hash_name64(id), the number that evidence carries; its content key is the number of its
 * tokens, by which equal documents under two ids are found. Tokens lie in a file (token_file.h); a
 * document takes about 40 bytes of memory and its id.
 * Belongs to one thread; constant once filled, then any number may read. */
#ifndef COORDINATOR_PLAN_TOKEN_CORPUS_H
#define COORDINATOR_PLAN_TOKEN_CORPUS_H

#include "common/error.h"
#include "common/evidence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKEN_CORPUS_MAX_CORPORA = 64,
    TOKEN_CORPUS_MAX_DOCUMENT_TOKENS = 1 << 28,
    TOKEN_CORPUS_MAX_ID_BYTES = 1024
};
#define TOKEN_CORPUS_MAX_TOKENS (UINT64_C(1) << 36)

struct token_corpus;

struct token_document {
    const char *id; /* borrowed; until the next token_corpus_add() */
    uint64_t key;
    uint64_t content_key;
    uint32_t corpus_index;
    uint32_t n_tokens;
};

/* With its tokens on disk in `directory`. Errors: ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t token_corpus_create(struct token_corpus **out, const char *directory,
                                        struct error *err);
void token_corpus_destroy(struct token_corpus **corpus); /* NULL-safe; sets *corpus = NULL */

/* Append a document of corpus `corpus_index` (not below that of the last one); everything is
 * copied. Errors: ST_BAD_INPUT (no token, order, id), ST_TOO_LARGE, ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t token_corpus_add(struct token_corpus *corpus, uint32_t corpus_index,
                                     const char *id, const uint32_t *tokens, size_t n_tokens,
                                     struct error *err);

size_t token_corpus_n_documents(const struct token_corpus *corpus);
uint64_t token_corpus_n_tokens(const struct token_corpus *corpus);
uint32_t token_corpus_max_token(const struct token_corpus *corpus); /* 0 if there is none */

/* document_index < token_corpus_n_documents(). */
struct token_document token_corpus_document(const struct token_corpus *corpus,
                                            size_t document_index);

/* The keys of all documents by index, for readers of evidence. Borrowed as `id` is. */
struct evidence_documents token_corpus_keys(const struct token_corpus *corpus);

/* Copy tokens [offset, offset + n) of a document into out[n]. Errors: ST_CORRUPT (they do not all
 * exist), ST_IO; what out holds then is undefined. */
MUST_CHECK status_t token_corpus_read(const struct token_corpus *corpus, size_t document_index,
                                      uint32_t offset, size_t n, uint32_t *out, struct error *err);

#endif
