/* A corpus as a stream of documents.
 *
 *   JSONL   a line is {"text": "...", "id": "..."}; id optional (text or whole number)
 *   tokens  a line is {"tokens": [1, 2, ...], "id": "..."}
 *   text    one document a file, or between blank lines, or between separators
 * plain, gzip or zstd; a file or a directory. A document without an id is called "FILE:N", where
 * N is its line (JSONL, tokens) or its number in the file, so names do not depend on where the
 * corpus lies. Ids seen twice are refused. (Known by a 64-bit hash: two different ids of
 * 10 million collide with probability 3e-6; the error then says so wrongly.) Documents without
 * a letter are skipped and counted. The same files give the same documents in the same order.
 * Memory: one document, and 16 bytes for every id. A handle belongs to one thread. */
#ifndef COORDINATOR_INTAKE_CORPUS_H
#define COORDINATOR_INTAKE_CORPUS_H

#include "coordinator/intake/sweep_spec.h"

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CORPUS_MAX_DOCUMENT_BYTES = 16 << 20, /* a document, a line */
    CORPUS_MAX_ID_BYTES = 512,
    CORPUS_MAX_DOCUMENTS = 1 << 28
};

struct corpus_document {
    uint64_t index;   /* 0-based, of the documents that were handed out */
    const char *id;   /* NUL-terminated UTF-8 */
    const char *text; /* [n_text_bytes], valid UTF-8 without NUL; NULL for tokens */
    size_t n_text_bytes;
    const uint32_t *tokens; /* [n_tokens]; NULL for text */
    size_t n_tokens;
};

struct corpus_stats {
    uint64_t n_documents;
    uint64_t n_empty; /* skipped */
    uint64_t n_text_bytes;
    uint64_t n_tokens;    /* of token documents */
    uint64_t content_key; /* number of all ids and contents so far, in order */
};

struct corpus;

/* `source` is borrowed for the life of the corpus. Errors: ST_NOT_FOUND, ST_BAD_INPUT, ST_IO,
 * ST_NO_MEMORY. The caller owns *out. */
MUST_CHECK status_t corpus_open(struct corpus **out, const struct sweep_source *source,
                                struct error *err);
void corpus_close(struct corpus **corpus); /* NULL-safe; sets *corpus = NULL */

/* The next document, which lives until the next call; *has_document false at the end. Errors
 * name file, line or document and byte: ST_BAD_INPUT (bad JSON, not UTF-8, binary, repeated
 * id, no document at all), ST_CORRUPT (compression), ST_TOO_LARGE, ST_IO, ST_NO_MEMORY. After
 * an error the corpus can only be closed. */
MUST_CHECK status_t corpus_next(struct corpus *corpus, struct corpus_document *out,
                                bool *has_document, struct error *err);

struct corpus_stats corpus_stats(const struct corpus *corpus);

#endif
