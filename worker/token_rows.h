/* Rows of token ids for the commands that look inside a model: read whole, padded to the longest
 * row. One thread. */
#ifndef WORKER_TOKEN_ROWS_H
#define WORKER_TOKEN_ROWS_H

#include "common/error.h"
#include "worker/model/tokenizer.h"

#include <stddef.h>
#include <stdint.h>

enum { TOKEN_ROWS_MAX_TOKENS = 1 << 26, TOKEN_ROWS_MAX_FILE_BYTES = 1 << 30 };

struct token_rows {
    uint32_t *tokens;  /* [n_rows, n_ctx], zeros behind a row's length */
    uint32_t *lengths; /* [n_rows], each 1..n_ctx */
    size_t n_rows, n_ctx;
};

void token_rows_fini(struct token_rows *rows); /* safe on zeroed */

/* One {"tokens": [ids]} a line; every id below n_vocab, every row at most max_ctx.
 * Errors: ST_BAD_INPUT (names file and line), ST_NOT_FOUND, ST_IO, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t token_rows_read_jsonl(struct token_rows *out, const char *path, size_t n_vocab,
                                          size_t max_ctx, struct error *err);

/* The text of a file, tokenized as one document (with the tokenizer's own BOS template) and cut
 * into rows of at most max_ctx. Errors: as above and the tokenizer's. */
MUST_CHECK status_t token_rows_read_text(struct token_rows *out, const char *path,
                                         const struct tokenizer *tokenizer, size_t n_vocab,
                                         size_t max_ctx, struct error *err);

#endif
