/* Rows changed where they lie: copies, one product and one sum a value, or the sum of a list. Edits
 * of a call touch different values, so nothing depends on the schedule. Oracle: kernels/cpu/edit.c,
 * same bits. */
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/row_launch.h"

/* 0, and one term after the other; `at` floats into each. */
static __device__ __forceinline__ float sum_terms(const float *const *terms, size_t n, size_t at)
{
    float sum = 0.0f;
#pragma unroll 4
    for (size_t i = 0; i < n; i++) sum = __fadd_rn(sum, terms[i][at]);
    return sum;
}

/* Launch: an edit per blockIdx.x (and on), its values over blockIdx.y, a row's side by side. */
__global__ void __launch_bounds__(BLOCK)
    edit_kernel(float *x, size_t ld, const edit *edits, size_t n_edits, const float *const *terms)
{
    for (size_t i = blockIdx.x; i < n_edits; i += gridDim.x) {
        const edit e = edits[i];
        const size_t n = static_cast<size_t>(e.n_rows) * e.n_columns;
        for (size_t k = static_cast<size_t>(blockIdx.y) * BLOCK + threadIdx.x; k < n;
             k += static_cast<size_t>(gridDim.y) * BLOCK) {
            const size_t row = k / e.n_columns, column = k % e.n_columns;
            const size_t at = row * e.ld_from + column;
            float *to = x + (e.row + row) * ld + e.column + column;
            const float value = e.n_terms ? sum_terms(terms + e.first_term, e.n_terms, at)
                                : e.from  ? e.from[at]
                                          : 0.0f;
            *to = e.is_added ? __fadd_rn(*to, __fmul_rn(e.factor, value)) : value;
        }
    }
}

cudaError_t launch_edit(cudaStream_t stream, const edit_params *p, const edit *edits,
                        const float *const *terms, size_t n_values)
{
    const dim3 grid(blocks_for(p->n_edits, 1), blocks_for(n_values, BLOCK));
    LAUNCH(edit_kernel, grid, BLOCK, 0, stream, p->x, p->ld, edits, p->n_edits, terms);
    return cudaGetLastError();
}
