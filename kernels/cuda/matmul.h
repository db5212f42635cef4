/* Dense products by cuBLAS: f32, bf16 inputs with f32 sums, or three of those (bf16x3).
 *
 * Weights stay in their row-major order [n_in, n_out] (or transposed), which cuBLAS reads as a
 * column-major matrix of the other shape, so nothing is packed. Every call multiplies exactly
 * row_block rows: its result depends on the shape alone, never on how many rows there are. */
#ifndef KERNELS_CUDA_MATMUL_H
#define KERNELS_CUDA_MATMUL_H

#include "kernels/cuda/exec.h"

MUST_CHECK status_t matmul_packed_create(struct packed **out, struct backend *backend,
                                         const struct pack_params *params, struct error *err);
void matmul_packed_destroy(struct packed *packed); /* NULL-safe */
size_t matmul_packed_bytes(const struct packed *packed);

/* y = x W over n_rows (a multiple of row_block) rows. Errors: ST_BAD_INPUT (shape),
 * ST_NO_MEMORY, ST_INTERNAL (the device refused). */
MUST_CHECK status_t matmul_run(struct exec *exec, const struct matmul_params *p, struct error *err);

#endif
