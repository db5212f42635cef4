/* Attention patterns: how much each head attends from each token to those at or before it. One
 * layer at a time: only one layer's queries and keys are kept, and of patterns one row.
 *
 * Queries and keys are those of the forward pass (f32); products and softmax are in double, rows in
 * ascending order of keys. A sequence's patterns do not depend on what else is in the batch. One
 * thread; the model is shared. */
#ifndef WORKER_MODEL_ATTENTION_PATTERNS_H
#define WORKER_MODEL_ATTENTION_PATTERNS_H

#include "worker/model/model.h"

#include <stdatomic.h>

struct attention_patterns;

struct attention_patterns_params {
    struct model *model; /* borrowed */
    size_t n_rows, n_ctx;
    atomic_uint_fast64_t *progress; /* borrowed; may be NULL */
};

/* On ST_OK the caller owns *out. Errors: as forward_create(). */
MUST_CHECK status_t attention_patterns_create(struct attention_patterns **out,
                                              const struct attention_patterns_params *params,
                                              struct error *err);
void attention_patterns_destroy(struct attention_patterns **patterns); /* NULL-safe */

/* Where a row of a pattern belongs. */
struct attention_query {
    size_t row, layer, head, query;
};

/* weights [query + 1], >= 0, sum 1: attention from token `query` of that row. */
typedef void attention_visit_fn(void *context, const struct attention_query *at,
                                const double *weights);

/* tokens [n_rows, n_ctx], lengths [n_rows], each 0..n_ctx. Visits layers in order, and in each
 * rows, heads and queries in order. Errors: ST_BAD_INPUT (a token outside the vocabulary; values
 * that are not finite). */
MUST_CHECK status_t attention_patterns_run(struct attention_patterns *patterns,
                                           const uint32_t *tokens, const uint32_t *lengths,
                                           attention_visit_fn *visit, void *context,
                                           struct error *err);

#endif
