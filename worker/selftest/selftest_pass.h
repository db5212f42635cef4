/* What one backend makes of one model: the end of the stream, the logits, the top tokens of a
 * random dictionary's features there, what heads do to the logits. Private to worker/selftest. */
#ifndef WORKER_SELFTEST_SELFTEST_PASS_H
#define WORKER_SELFTEST_SELFTEST_PASS_H

#include "worker/model/forward.h"

enum {
    PASS_ROWS = 2,
    PASS_CTX = 12,
    PASS_SHORTER = 3,
    PASS_FEATURES = 64,
    PASS_TOP = 5,
    PASS_HEADS = 4
};
enum { PASS_TOKENS = PASS_ROWS * PASS_CTX };

struct selftest_pass {
    size_t d_model, n_vocab;
    float *stream;  /* [PASS_TOKENS, d_model] */
    float *logits;  /* [PASS_TOKENS, n_vocab] */
    float *effects; /* [PASS_HEADS, PASS_ROWS, n_vocab]: what the logits of the last tokens lose
                     * without each of the first layer's heads */
    float top_values[PASS_FEATURES][PASS_TOP]; /* descending; 0: none */
    uint32_t top_tokens[PASS_FEATURES][PASS_TOP];
    double seconds; /* of the pass to the stream */
    double ablated_seconds;
};

/* Tokens of a row that are no padding. */
size_t selftest_pass_length(size_t row);

/* On failure *out holds what was made; finish it anyway. Errors: those of the model and the
 * backend. */
MUST_CHECK status_t selftest_pass_run(struct selftest_pass *out, const char *directory,
                                      struct backend *backend, enum compute compute,
                                      struct error *err);
void selftest_pass_fini(struct selftest_pass *pass); /* safe on zeroed */

#endif
