/* Weights of an f32 product in panels of columns, for the instruction sets whose table has
 * `multiply` (vector.h). There oneDNN sums the rows left over from its groups of rows in another
 * order, so that a row's product would depend on its place.
 *
 *   panel j   columns [j width, (j + 1) width) of W as [n_in, width], the last one filled up with 0
 *   sums      k in stretches of at most PANELS_DEPTH, each a chain of multiply-adds from 0 in
 *             ascending order; the stretches are added in order
 *
 * So a value depends on its row, its column of W and n_in alone, whatever the rows beside it, their
 * number, their distance and the thread. Read-only after creation, shared by all threads. */
#ifndef KERNELS_CPU_PANELS_H
#define KERNELS_CPU_PANELS_H

#include "kernels/backend.h"
#include "kernels/cpu/vector.h"

struct panels;

/* What the panels of such weights take; 0: more than there can be. */
size_t panels_bytes(size_t n_in, size_t n_out, const struct vector_kernels *kernels);

/* Pack params->weights; compute and is_shelved are not read. `kernels` has `multiply` and is
 * borrowed. On ST_OK the caller owns *out. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t panels_create(struct panels **out, const struct pack_params *params,
                                  const struct vector_kernels *kernels, struct error *err);
void panels_destroy(struct panels *panels); /* NULL-safe */

/* y = x W of any number of rows; p->weights is not read. */
void panels_multiply(const struct panels *panels, const struct matmul_params *p);

#endif
