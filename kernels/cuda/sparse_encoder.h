/* One thread's encoder from the inside: what sparse_encoder.c (lifetime, blocks of tokens) and
 * sparse_rows.c (candidates to rows on the host) share. Private to kernels/cuda. */
#ifndef KERNELS_CUDA_SPARSE_ENCODER_H
#define KERNELS_CUDA_SPARSE_ENCODER_H

#include "kernels/cuda/sparse.h"

enum { SPARSE_BLOCK = 1024 /* most tokens screened together */ };

struct sparse_encoder {
    const struct sparse *sparse;
    struct exec *exec;
    enum screen wanted, screen;
    size_t n_block;              /* tokens of a block */
    uint32_t *selected;          /* device [n_words], one bit a feature; NULL: all */
    struct sparse_tokens tokens; /* device, [n_block] */
    float *product;              /* device [n_block, n_features] */
    uint32_t *masks;             /* device [n_block, n_words] */
    uint32_t *counts, *starts;   /* device [n_block], [n_block + 1] */
    unsigned long long *bad;     /* device [1]: the first token or pair that is no number */
    struct scratch candidates;   /* device: token, feature, value of a pass */
    /* host: */
    uint32_t *host_selected;             /* [n_words] or NULL */
    uint32_t *host_counts, *host_starts; /* [n_block], [n_block + 1] */
    uint32_t *feature;                   /* [n_host], of a pass */
    float *value;                        /* [n_host] */
    size_t n_host;
    struct sparse_rows rows; /* of the run */
    size_t rows_capacity, entries_capacity;
    struct sparse_stats stats;
    uint64_t window_tokens, window_candidates, window_fired; /* since the screen was judged */
};

/* Tokens of a block of an encoder of that many features. */
size_t sparse_encoder_block(size_t n_features);

/* Begin a run of n_tokens: rows empty. */
MUST_CHECK status_t sparse_rows_begin(struct sparse_encoder *e, size_t n_tokens, struct error *err);
/* The block's candidates (masks and host_counts are there) by the exact dot, appended as rows.
 * Errors: ST_BAD_INPUT (an activation overflows), ST_NO_MEMORY. */
MUST_CHECK status_t sparse_rows_append(struct sparse_encoder *e, struct error *err);
void sparse_rows_fini(struct sparse_encoder *e);

/* What the device noted in `bad`; UINT64_MAX: nothing. Waits for it. */
MUST_CHECK status_t sparse_read_bad(struct sparse_encoder *e, uint64_t *out, struct error *err);

#endif
