/* The directions that a known model's residual stream is made of: d_model - 1 orthonormal rows,
 * each with mean 0, so that LayerNorm's subtraction of the mean changes nothing. Rows 1.. of the
 * DCT-II, in an order that the seed chooses: every row is dense, so a transposed or shifted weight
 * cannot pass unnoticed. Pure; any thread. */
#ifndef WORKER_KNOWN_DIRECTION_BASIS_H
#define WORKER_KNOWN_DIRECTION_BASIS_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* *out is [d_model - 1, d_model], which the caller frees: u_k[n] = sqrt(2 / d_model)
 * cos(pi (n + 1/2) k / d_model). Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t direction_basis_create(double **out, size_t d_model, uint64_t seed,
                                           struct error *err);

#endif
