/* Dense products: which number type is multiplied how on which instruction set.
 *
 * From AVX-512 on, oneDNN multiplies (onednn.h), below it we do (panels.h): oneDNN's AVX2 product
 * takes six rows at a time and sums the rows left over in another order, so a row would depend on
 * its place. Weights are packed once and shared read-only by all threads; a matmul_cache belongs to
 * one exec (thread). A row's sums run in one order, fixed by the shape and the instruction set. */
#ifndef KERNELS_CPU_MATMUL_H
#define KERNELS_CPU_MATMUL_H

#include "kernels/backend.h"
#include "kernels/cpu/host_memory.h"
#include "kernels/cpu/vector.h"

struct matmul_cache;

/* Its bytes are the ledger's until it goes. */
MUST_CHECK status_t matmul_packed_create(struct packed **out, const struct pack_params *params,
                                         const struct vector_kernels *kernels,
                                         struct memory_ledger *ledger, struct error *err);
void matmul_packed_destroy(struct packed *packed); /* NULL-safe */
/* What matmul_packed_bytes() would be; 0 if there is no such product. */
size_t matmul_packed_estimate(const struct pack_params *params,
                              const struct vector_kernels *kernels);
size_t matmul_packed_bytes(const struct packed *packed);
size_t matmul_packed_n_in(const struct packed *packed);
size_t matmul_packed_n_out(const struct packed *packed);

/* `kernels` is borrowed for the cache's life. */
MUST_CHECK status_t matmul_cache_create(struct matmul_cache **out, size_t row_block,
                                        const struct vector_kernels *kernels, struct error *err);
void matmul_cache_destroy(struct matmul_cache *cache); /* NULL-safe */

/* y = x W over n_rows (a multiple of row_block) rows. Errors: ST_BAD_INPUT (shape),
 * ST_NO_MEMORY, ST_INTERNAL (oneDNN refused). */
MUST_CHECK status_t matmul_run(struct matmul_cache *cache, const struct matmul_params *p,
                               struct error *err);

/* One block of row_block rows whose bf16 parts the caller has made: y = x_hi W. For weights
 * packed as COMPUTE_BF16, with the kernels of AVX-512 (below it oneDNN has no such product). */
MUST_CHECK status_t matmul_run_bf16(struct matmul_cache *cache, const struct packed *weights,
                                    const uint16_t *x_hi, float *y, size_t ld_y, struct error *err);

#endif
