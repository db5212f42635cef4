/* Texts on their way to a tokenizer, and their token ids on the way back.
 *
 *   texts   a bulk of parts (wire.h), one per document, in one zstd frame
 *   tokens  u32 n_documents, n_documents x u32 n_tokens, then the ids, u32; in one zstd frame
 *
 * Any thread. */
#ifndef COMMON_TOKEN_BATCH_H
#define COMMON_TOKEN_BATCH_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"

#include <stddef.h>
#include <stdint.h>

enum { TOKEN_BATCH_MAX_BYTES = 64 * 1024 * 1024 }; /* of either, before compression */

MUST_CHECK status_t token_batch_encode_texts(const struct wire_text *texts, size_t n_documents,
                                             struct buffer *out, struct error *err);
/* `plain` is the caller's buffer, which the parts point into. */
MUST_CHECK status_t token_batch_decode_texts(const void *bytes, size_t n_bytes,
                                             struct buffer *plain, struct wire_parts *out,
                                             struct error *err);

struct token_batch {
    size_t n_documents;
    uint32_t *n_tokens; /* [n_documents], owned */
    size_t n_all_tokens;
    uint32_t *tokens; /* [n_all_tokens], owned */
};

MUST_CHECK status_t token_batch_encode(const struct token_batch *batch, struct buffer *out,
                                       struct error *err);
/* Untrusted bytes. On ST_OK the caller owns *out (fini). */
MUST_CHECK status_t token_batch_decode(const void *bytes, size_t n_bytes, struct token_batch *out,
                                       struct error *err);
void token_batch_fini(struct token_batch *batch);

#endif
