/* From C to the kernels of the sparse encode; like launch.h. */
#ifndef KERNELS_CUDA_SPARSE_LAUNCH_H
#define KERNELS_CUDA_SPARSE_LAUNCH_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/backend.h"

#include <cuda_runtime_api.h>

enum { SPARSE_WORD = 32 }; /* features of one mask word */

/* Encoder weights on the device; rows are n_row = n_in up to 16 apart, zeros behind n_in. */
struct sparse_device {
    const float *rows;                                 /* [n_features, n_row] */
    const uint16_t *rows_hi;                           /* [n_features, n_row] bf16 */
    const float *bias;                                 /* [n_features] */
    const float *scale, *floor, *mag_scale, *mag_bias; /* [n_features] or NULL */
    /* pre (minus floor) lies within product * factor + offset +- (|e| norm + |x'| residual),
     * e and x' those of the token; `slack` is what offset holds on top for rounding. */
    const float *factor, *offset, *slack, *norm, *residual; /* [n_features] */
    size_t n_in, n_row, n_features, n_words;
};

/* A token's rounding: |x - x'| with what the product rounds away, and |x'|; and what a value must
 * reach, beside being over 0, to matter (topk). */
struct sparse_tokens {
    float *x;                       /* [n_tokens, n_row], zeros behind n_in */
    uint16_t *hi;                   /* [n_tokens, n_row] bf16 */
    float *residual, *norm, *least; /* [n_tokens] */
    size_t n_tokens;
};

/* No token, no feature: `first_bad` before anything is found. */
#define SPARSE_NONE_BAD UINT64_MAX

/* Rows of x into `tokens`, rounded and with norms. *first_bad becomes the lowest token with a value
 * that is not finite, if there is one. */
cudaError_t launch_sparse_prepare(cudaStream_t stream, const float *x, size_t n_in, size_t n_row,
                                  float rounding, bool is_bf16, const struct sparse_tokens *tokens,
                                  unsigned long long *first_bad);

/* least[t] = the k-th largest lower bound of the token's values, 0 if it is not positive.
 *   product [n_tokens, n_features] */
cudaError_t launch_sparse_least(cudaStream_t stream, const struct sparse_device *s,
                                const struct sparse_tokens *tokens, const float *product, size_t k);

/* Bit f of masks [n_tokens, n_words]: the pair could fire. counts[t] grows by the set bits.
 *   product NULL: every pair; wanted [n_words] or NULL: features to look at */
cudaError_t launch_sparse_scan(cudaStream_t stream, const struct sparse_device *s,
                               const struct sparse_tokens *tokens, const float *product,
                               const uint32_t *wanted, uint32_t *masks, uint32_t *counts);

/* Candidates of some tokens, token by token, features ascending. */
struct sparse_candidates {
    uint32_t *token, *feature; /* [n] */
    float *value;              /* [n]: 0 if it stays silent */
    size_t n;
};

/* starts[t]: where the candidates of token first + t go, for n_tokens of them. */
cudaError_t launch_sparse_fill(cudaStream_t stream, const uint32_t *masks, size_t n_words,
                               size_t first, size_t n_tokens, const uint32_t *starts,
                               const struct sparse_candidates *out);

/* Exact values of all candidates. *first_bad becomes token << 32 | feature of the lowest pair that
 * overflows. */
cudaError_t launch_sparse_refine(cudaStream_t stream, const struct sparse_device *s, const float *x,
                                 const struct sparse_candidates *candidates,
                                 unsigned long long *first_bad);

/* Zero all but the k largest values of each token, ties to the lower feature. starts has
 * n_tokens + 1 entries. */
cudaError_t launch_sparse_keep(cudaStream_t stream, const uint32_t *starts, size_t n_tokens,
                               size_t k, const struct sparse_candidates *candidates);

/* What fires, as in struct sparse_rows. */
struct sparse_entries {
    uint32_t *feature;
    float *value;
};

/* row_starts[t]: how many candidates of token t fire and are wanted, for n_tokens of them.
 *   wanted [n_words] or NULL: all */
cudaError_t launch_sparse_count(cudaStream_t stream, const uint32_t *starts, size_t n_tokens,
                                const uint32_t *wanted, const struct sparse_candidates *candidates,
                                uint32_t *row_starts);

/* row_starts [n_tokens + 1]: counts become where each row begins, in place; then the end of all. */
cudaError_t launch_sparse_starts(cudaStream_t stream, uint32_t *row_starts, size_t n_tokens);

/* The candidates that were counted, at row_starts[t] and on. */
cudaError_t launch_sparse_pack(cudaStream_t stream, const uint32_t *starts, size_t n_tokens,
                               const uint32_t *wanted, const struct sparse_candidates *candidates,
                               const uint32_t *row_starts, const struct sparse_entries *out);

/* struct sparse_tally on the device: keys of a feature in any order. */
struct sparse_tally_device {
    unsigned long long *n_fired; /* [n_features] */
    unsigned long long *top;     /* [n_features, k] */
    size_t k;
};

/* Rows of n_tokens tokens into the tally; the first of them is number first_token. */
cudaError_t launch_sparse_tally(cudaStream_t stream, const uint32_t *row_starts, size_t n_tokens,
                                const struct sparse_entries *entries, uint32_t first_token,
                                const struct sparse_tally_device *tally);

#ifdef __cplusplus
}
#endif

#endif
