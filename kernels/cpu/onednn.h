/* Products by oneDNN, which nothing else knows of. Used by matmul.c, from AVX-512 on.
 *
 * Weights are packed once into the blocked layout that oneDNN prefers for a full row block.
 * Products are compiled once per shape, layout and number type and run on the thread that calls,
 * on one OpenMP thread. Every call multiplies exactly row_block rows: a row's sums run in one
 * order, fixed by the shape and the instruction set. oneDNN picks AVX-512, AVX512-BF16 or AMX. */
#ifndef KERNELS_CPU_ONEDNN_H
#define KERNELS_CPU_ONEDNN_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

/* W [n_in, n_out] in a layout of oneDNN's; read-only, shared by all threads. */
struct onednn_weights;
struct onednn_weights_params {
    size_t n_in, n_out;
    const void *values; /* [n_in, n_out], or [n_out, n_in] if is_transposed; f32, or bits of bf16 */
    bool is_transposed, is_bf16;
};

/* What such weights take; values are not read. Errors: ST_INTERNAL (oneDNN refused),
 * ST_NO_MEMORY. */
MUST_CHECK status_t onednn_weights_measure(size_t *n_bytes, const struct onednn_weights_params *p,
                                           struct error *err);
/* On ST_OK the caller owns *out. Errors: as above. */
MUST_CHECK status_t onednn_weights_create(struct onednn_weights **out,
                                          const struct onednn_weights_params *p, struct error *err);
void onednn_weights_destroy(struct onednn_weights *weights); /* NULL-safe */

/* One thread's compiled products and their scratch. */
struct onednn_runner;
MUST_CHECK status_t onednn_runner_create(struct onednn_runner **out, size_t row_block,
                                         struct error *err);
void onednn_runner_destroy(struct onednn_runner *runner); /* NULL-safe */

/* y = x W of row_block rows, or y += x W where is_accumulating. */
struct onednn_product {
    const struct onednn_weights *weights;
    const void *x; /* [row_block, n_in] of the weights' number type, without gaps */
    float *y;      /* [row_block, n_out], rows ld_y apart */
    size_t ld_y;
    bool is_accumulating;
};
/* Errors: ST_INTERNAL (oneDNN refused), ST_NO_MEMORY. */
MUST_CHECK status_t onednn_run(struct onednn_runner *runner, const struct onednn_product *p,
                               struct error *err);

#endif
