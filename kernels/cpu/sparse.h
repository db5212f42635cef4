/* The exact sparse encode of backend.h on the CPU: screen cheaply, refine in f32.
 *
 *   block of tokens --prepare--> rows, residual norms
 *        for each panel of 32 features:
 *            screen  -> one 32-bit mask per token: which pairs could fire
 *            refine  -> exact dot of those pairs, thresholds, top-k     (sparse_refine.c)
 *   --collect--> rows of firing features
 *
 * A screen bounds every pair from above; only pairs whose bound passes are computed. Screens,
 * cheapest first:
 *   int8  x and W rounded to 8 bits with one scale a row, products by VNNI, bound in registers
 *         (no [tokens, features] matrix is ever written)
 *   bf16  oneDNN bf16 product of a tile of features, then the bound
 *   f32   f32 product, likewise
 *   none  every pair by the exact dot
 * The bound is Cauchy-Schwarz on the rounding residuals (performance.md 3b): with x = x' + e and
 * w = w' + g, |x w - x' w'| <= |e| |w| + |x'| |g|, plus the f32 rounding of both computations.
 * All norms are rounded up. A pair is skipped only if its bound is certainly not above what
 * matters, so NaN and overflow in the bound make a candidate, never a loss. */
#ifndef KERNELS_CPU_SPARSE_H
#define KERNELS_CPU_SPARSE_H

#include "kernels/backend.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/vector.h"

/* What encoder weights are made for and of; both borrowed for their life. */
struct sparse_machine {
    const struct vector_kernels *kernels;
    struct memory_ledger *ledger;
    bool has_vnni;
};

MUST_CHECK status_t sparse_weights_create(struct sparse **out, const struct sparse_params *params,
                                          const struct sparse_machine *machine, struct error *err);
/* What sparse_weights_bytes() would be. */
size_t sparse_weights_estimate(size_t n_in, size_t n_features, bool has_vnni);
void sparse_weights_destroy(struct sparse *sparse); /* NULL-safe */
size_t sparse_weights_bytes(const struct sparse *sparse);

/* `matmul` (of blocks of row_block) and `kernels` are borrowed and must outlive the encoder; its
 * thread is theirs. Errors: ST_UNSUPPORTED (an int8 screen without VNNI), ST_NOT_FOUND (a
 * selected feature), ST_NO_MEMORY. */
MUST_CHECK status_t sparse_encoder_open(struct sparse_encoder **out,
                                        const struct sparse_encoder_params *params,
                                        struct matmul_cache *matmul, size_t row_block,
                                        const struct vector_kernels *kernels, struct error *err);
void sparse_encoder_close(struct sparse_encoder *encoder); /* NULL-safe */
MUST_CHECK status_t sparse_encoder_run(struct sparse_encoder *encoder, const float *x,
                                       size_t n_tokens, struct sparse_rows *out, struct error *err);
struct sparse_stats sparse_encoder_stats(const struct sparse_encoder *encoder);
MUST_CHECK status_t sparse_encoder_tally(struct sparse_encoder *encoder, struct sparse_tally *out,
                                         struct error *err);

#endif
