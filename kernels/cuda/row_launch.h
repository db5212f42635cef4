/* From C to the kernels that change rows and compare distributions; like launch.h. */
#ifndef KERNELS_CUDA_ROW_LAUNCH_H
#define KERNELS_CUDA_ROW_LAUNCH_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/backend.h"

#include <cuda_runtime_api.h>

/* edits and terms: device, those of p; n_values: of the largest edit. */
cudaError_t launch_edit(cudaStream_t stream, const struct edit_params *p, const struct edit *edits,
                        const float *const *terms, size_t n_values);

/* A pair after some tiles of columns: of each row the largest logit and the sum of
 * exp(logit - largest), and the sum of exp(p's logit - largest) (p's logit - q's). */
struct diverge_state {
    double p_largest, p_sum, q_largest, q_sum, cross, n_not_finite;
};

/* Columns [first, first + n) of the logits, and what is made of them; all pointers are device. */
struct diverge_tile {
    const float *logits; /* [rows, n], rows ld apart */
    size_t ld, first, n;
    bool is_first, is_last;
    const struct row_pair *pairs; /* [n_pairs] */
    const uint32_t *columns;      /* [n_columns] */
    size_t n_pairs, n_columns;
    struct diverge_state *states; /* [n_pairs] not read for the first tile, written but for the
                                   * last, */
    struct divergence *out;       /* [n_pairs] whose result is here */
    float *asked;                 /* [n_pairs, n_columns] */
};
cudaError_t launch_diverge(cudaStream_t stream, const struct diverge_tile *tile);

#ifdef __cplusplus
}
#endif

#endif
