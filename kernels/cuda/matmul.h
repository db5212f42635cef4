/* Dense products by cuBLAS: f32, tf32, bf16 inputs with f32 sums, or three of those (bf16x3).
 *
 * Weights stay in their row-major order [n_in, n_out] (or transposed), which cuBLAS reads as a
 * column-major matrix of the other shape, so nothing is packed. Every call multiplies exactly
 * row_block rows: its result depends on the shape alone, never on how many rows there are. */
#ifndef KERNELS_CUDA_MATMUL_H
#define KERNELS_CUDA_MATMUL_H

#include "kernels/cuda/exec.h"

enum { PACKED_MAX_PARTS = 2 };

/* Weights in one or two parts: f32, or bf16 high (and low, for bf16x3). */
struct packed {
    size_t n_in, n_out;
    bool is_transposed; /* [n_out, n_in] */
    bool is_shelved;    /* the parts are pinned memory of the host, for a window */
    bool is_borrowed;   /* the parts are a window's */
    enum compute compute;
    void *parts[PACKED_MAX_PARTS]; /* device; [1] only for bf16x3 */
};

/* Of one part, and how many of them there are. */
size_t packed_part_bytes(const struct packed *packed);
size_t packed_n_parts(const struct packed *packed);

MUST_CHECK status_t matmul_packed_create(struct packed **out, struct backend *backend,
                                         const struct pack_params *params, struct error *err);
void matmul_packed_destroy(struct packed *packed); /* NULL-safe */
size_t matmul_packed_bytes(const struct packed *packed);
size_t matmul_packed_estimate(const struct backend *backend, const struct pack_params *params);

/* y = x W over n_rows (a multiple of row_block) rows. Errors: ST_BAD_INPUT (shape),
 * ST_NO_MEMORY, ST_INTERNAL (the device refused). */
MUST_CHECK status_t matmul_run(struct exec *exec, const struct matmul_params *p, struct error *err);

/* The same for columns [first, first + n) of y alone: p->y and p->ld_y are those of the n columns.
 * Errors: likewise. */
MUST_CHECK status_t matmul_run_columns(struct exec *exec, const struct matmul_params *p,
                                       size_t first, size_t n, struct error *err);

#endif
