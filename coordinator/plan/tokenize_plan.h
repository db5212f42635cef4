/* From documents to token ids with many workers at once.
 *
 *   corpora --reader--> batches of text --workers--> token ids --collector--> token_corpus
 *
 * The reader is pulled, so only the batches in flight are in memory. Results may come in any
 * order and twice; the collector puts them in the order of the corpus, first result wins, and
 * ends every corpus at its max_tokens by whole documents, so what comes out depends neither on
 * the workers nor on how far the reader had run ahead. Belong to one thread. */
#ifndef COORDINATOR_PLAN_TOKENIZE_PLAN_H
#define COORDINATOR_PLAN_TOKENIZE_PLAN_H

#include "coordinator/intake/corpus.h"
#include "coordinator/plan/token_corpus.h"

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKENIZE_BATCH_BYTES = 256 * 1024, TOKENIZE_BATCH_DOCUMENTS = 4096 };

/* Consecutive documents of one corpus: TOKENIZE_BATCH_BYTES of text at most, but at least one
 * document. Either all have text, or all bring their token ids (and need no worker). */
struct tokenize_batch {
    uint64_t index; /* 0, 1, 2, ... over all corpora */
    uint32_t corpus_index;
    bool has_tokens;
    size_t n_documents;
    const char *const *ids; /* [n_documents]; of a named corpus "NAME/ID" */
    const char *bytes;      /* the texts, one after the other; or the token ids, as uint32_t */
    const size_t *n_bytes;  /* [n_documents]: of the text, or 4 per token */
};

struct tokenize_reader;

/* Reads sources[n_sources] in order (0 is the main corpus); they are borrowed. Nothing is opened
 * before the first batch. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t tokenize_reader_create(struct tokenize_reader **out,
                                           const struct sweep_source *sources, size_t n_sources,
                                           struct error *err);
void tokenize_reader_destroy(struct tokenize_reader **reader); /* NULL-safe */

/* The next batch, which lives until the next call; *has_batch false at the end.
 * Errors: those of corpus_open() and corpus_next(). */
MUST_CHECK status_t tokenize_reader_next(struct tokenize_reader *reader, struct tokenize_batch *out,
                                         bool *has_batch, struct error *err);

/* Leave the rest of corpus `corpus_index` unread (the collector has enough of it). */
void tokenize_reader_skip(struct tokenize_reader *reader, uint32_t corpus_index);

/* What was read of corpus `corpus_index` so far. */
struct corpus_stats tokenize_reader_stats(const struct tokenize_reader *reader,
                                          uint32_t corpus_index);

struct tokenize_collector;

/* `max_tokens` [n_corpora], 0 for no limit; copied. The corpus' tokens go to a file in `directory`.
 * Errors: ST_BAD_INPUT (n_corpora), ST_IO, ST_NO_MEMORY. */
MUST_CHECK status_t tokenize_collector_create(struct tokenize_collector **out,
                                              const char *directory, const uint64_t *max_tokens,
                                              size_t n_corpora, struct error *err);
void tokenize_collector_destroy(struct tokenize_collector **collector); /* NULL-safe */

/* Note a batch that was read (ids are copied), in order of index. A batch that has tokens is
 * settled by this alone. Errors: ST_INTERNAL (order), ST_NO_MEMORY, those of put. */
MUST_CHECK status_t tokenize_collector_expect(struct tokenize_collector *collector,
                                              const struct tokenize_batch *batch,
                                              struct error *err);

/* The result of an expected batch: n_tokens[n_documents], and the token ids one document after
 * the other. A document may have none. A second result of the same batch is ignored. Errors:
 * ST_BAD_INPUT (counts that do not add up), ST_NOT_FOUND (not expected), ST_NO_MEMORY. */
MUST_CHECK status_t tokenize_collector_put(struct tokenize_collector *collector,
                                           uint64_t batch_index, const uint32_t *n_tokens,
                                           size_t n_documents, const uint32_t *tokens,
                                           size_t n_all_tokens, struct error *err);

/* Has the corpus reached its max_tokens? Then later documents of it will not be used. */
bool tokenize_collector_is_full(const struct tokenize_collector *collector, uint32_t corpus_index);
size_t tokenize_collector_n_pending(const struct tokenize_collector *collector); /* batches */

/* Move the collected corpus out once nothing is pending. ST_BAD_INPUT if no document has a
 * token, ST_CONFLICT while batches are pending. */
MUST_CHECK status_t tokenize_collector_take(struct tokenize_collector *collector,
                                            struct token_corpus **out, struct error *err);

#endif
