/* Slots of the table that name rows by number: lists go up, activations stay where they are. */
#ifndef KERNELS_CUDA_ROW_OPERATIONS_H
#define KERNELS_CUDA_ROW_OPERATIONS_H

#include "kernels/cuda/exec.h"

MUST_CHECK status_t operation_edit(struct exec *exec, const struct edit_params *p,
                                   struct error *err);

/* Through the columns of W in tiles of DIVERGE_TILE, whose product is all that is kept. */
enum { DIVERGE_TILE = 2048 };
/* Of the exec's scratch, for comparisons of at most that size; 0: too large. */
size_t operation_diverge_estimate(const struct backend *backend, const struct diverge_shape *shape);
MUST_CHECK status_t operation_diverge(struct exec *exec, const struct diverge_params *p,
                                      struct error *err);

#endif
