/* One thread's encoder from the inside: what sparse_encoder.c (lifetime, blocks of tokens),
 * sparse_rows.c (candidates to rows), sparse_tally.c and sparse_digest.c share. Private to
 * kernels/cuda. */
#ifndef KERNELS_CUDA_SPARSE_ENCODER_H
#define KERNELS_CUDA_SPARSE_ENCODER_H

#include "kernels/cuda/sparse.h"
#include "kernels/cuda/sparse_digest.h"

enum {
    SPARSE_BLOCK = 1024, /* most tokens screened together */
    SPARSE_SHARE = 256   /* candidates of a pass, for each of them, at most */
};

/* What the device tells the host about a block or a pass, fetched at once. */
struct sparse_report {
    unsigned long long bad; /* the first token or pair that is no number; or SPARSE_NONE_BAD */
    uint32_t numbers[];     /* [n_block + 1] how many candidates each token of the block has; then
                             * where the rows of a pass begin */
};

struct sparse_encoder {
    const struct sparse *sparse;
    struct exec *exec;
    enum screen wanted, screen;
    size_t n_block;               /* tokens of a block */
    uint32_t *selected;           /* device [n_words], one bit a feature; NULL: all */
    struct sparse_tokens tokens;  /* device, [n_block] */
    float *product;               /* device [n_block, n_features] */
    uint32_t *masks;              /* device [n_block, n_words] */
    uint32_t *starts;             /* device [n_block + 1]: of a pass's candidates, by token */
    struct sparse_report *report; /* device */
    size_t n_pass;                /* candidates of a pass at most */
    struct scratch candidates;    /* device: those of a pass, and entries: grows up to n_pass */
    /* host: */
    struct sparse_report *host_report;
    uint32_t *host_counts, *host_starts; /* candidates: [n_block] of the block, [n_block + 1] */
    struct sparse_rows rows;             /* of the run */
    size_t rows_capacity, entries_capacity;
    struct sparse_stats stats;
    uint64_t window_tokens, window_candidates, window_fired; /* since the screen was judged */
    struct sparse_tally_device tally;                        /* k 0: none is kept */
    uint64_t *host_fired, *host_top; /* of the tally, [n_features], [n_features, k] */
    uint32_t n_tallied;              /* tokens of the runs before */
    struct sparse_digest digest;     /* its memory is taken by the first one */
};

/* Tokens of a block of an encoder of that many features. */
size_t sparse_encoder_block(size_t n_features);
/* Candidates of a pass at most, no fewer than one token can have; and device bytes of each. */
size_t sparse_encoder_pass(size_t n_features);
enum { SPARSE_CANDIDATE_BYTES = 5 * 4 }; /* token, feature, value; an entry's feature, value */

/* A run over n_tokens tokens of x; e->rows are its rows, whose entries stay on the device where a
 * digest is open. */
MUST_CHECK status_t sparse_encoder_run_rows(struct sparse_encoder *e, const float *x,
                                            size_t n_tokens, struct error *err);

/* Begin a run of n_tokens: rows empty. */
MUST_CHECK status_t sparse_rows_begin(struct sparse_encoder *e, size_t n_tokens, struct error *err);
/* The block's candidates (masks and host_counts are there) by the exact dot, appended as rows; in
 * as many passes as it takes. Errors: ST_BAD_INPUT (an activation overflows), ST_NO_MEMORY. */
MUST_CHECK status_t sparse_rows_append(struct sparse_encoder *e, struct error *err);
void sparse_rows_fini(struct sparse_encoder *e);

/* Fetch `bad` and the first n of `numbers` into host_report. Waits for them. */
MUST_CHECK status_t sparse_read_report(struct sparse_encoder *e, size_t n, struct error *err);

/* sparse_tally.c. Bytes of one on the device: 0 if k is 0 or over SPARSE_MAX_TALLY. */
size_t sparse_tally_bytes(size_t n_features, size_t k);
/* Open: nothing where k is 0; Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t sparse_tally_open(struct sparse_encoder *e, size_t k, struct error *err);
void sparse_tally_close(struct sparse_encoder *e); /* safe where none was opened */
/* Before a run. Errors: ST_TOO_LARGE (tokens can no longer be numbered). */
MUST_CHECK status_t sparse_tally_begin(const struct sparse_encoder *e, size_t n_tokens,
                                       struct error *err);
/* The packed rows of the n_tokens tokens behind those that `rows` has. */
MUST_CHECK status_t sparse_tally_take(struct sparse_encoder *e,
                                      const struct sparse_entries *entries, size_t n_tokens,
                                      struct error *err);

/* sparse_digest.c: n packed entries behind the `at` before them, as long as they have room. */
MUST_CHECK status_t sparse_digest_take(struct sparse_encoder *e,
                                       const struct sparse_entries *entries, size_t at, size_t n,
                                       struct error *err);

#endif
