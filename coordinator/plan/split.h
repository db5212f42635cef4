/* Which side of a sweep a document is on: explain, validate, test, or its own
 * out-of-distribution corpus.
 *
 * By hash of the document's id and the sweep's seed, before anything is captured, so that a
 * document's side does not depend on what else is in the corpus. Two exceptions, both against
 * leaks: documents of equal tokens under different ids all go by the hash of those tokens, and
 * an out-of-distribution document that the main corpus (or an earlier such corpus) also holds
 * is dropped. Near-duplicates are not clustered (statistics.md 1: overlapping windows are
 * dropped when scores are made). Pure functions; any thread. */
#ifndef COORDINATOR_PLAN_SPLIT_H
#define COORDINATOR_PLAN_SPLIT_H

#include "coordinator/intake/sweep_spec.h"
#include "coordinator/plan/token_corpus.h"

#include "common/error.h"
#include "common/evidence.h"

#include <stddef.h>
#include <stdint.h>

/* A side as a number: EVIDENCE_EXPLAIN, _VALIDATE or _TEST for the main corpus,
 * EVIDENCE_OOD + k - 1 for corpus k > 0, SPLIT_DROPPED. */
enum { SPLIT_DROPPED = 255 };

static inline enum evidence_split split_of_side(uint8_t side)
{
    return side < EVIDENCE_OOD ? (enum evidence_split)side : EVIDENCE_OOD;
}

/* The side of one number: uniform in [0, 100), cut by the percentages (sum 100). */
enum evidence_split split_of_key(uint64_t key, const struct sweep_splits *splits, uint64_t seed);

struct split_counts {
    uint64_t n_duplicates;     /* documents of the main corpus whose tokens another one has */
    uint64_t n_ood_duplicates; /* dropped */
};

/* side[token_corpus_n_documents()] of every document. `counts` may be NULL.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t split_assign(const struct token_corpus *corpus,
                                 const struct sweep_splits *splits, uint64_t seed, uint8_t *side,
                                 struct split_counts *counts, struct error *err);

#endif
