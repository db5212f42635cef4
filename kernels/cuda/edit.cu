/* Rows changed where they lie: copies, or one product and one sum a value. Edits of a call touch
 * different values, so nothing depends on the schedule. Oracle: kernels/cpu/edit.c, same bits. */
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/row_launch.h"

/* Launch: an edit per blockIdx.x (and on), its values over blockIdx.y, a row's side by side. */
__global__ void __launch_bounds__(BLOCK)
    edit_kernel(float *x, size_t ld, const edit *edits, size_t n_edits)
{
    for (size_t i = blockIdx.x; i < n_edits; i += gridDim.x) {
        const edit e = edits[i];
        const size_t n = static_cast<size_t>(e.n_rows) * e.n_columns;
        for (size_t k = static_cast<size_t>(blockIdx.y) * BLOCK + threadIdx.x; k < n;
             k += static_cast<size_t>(gridDim.y) * BLOCK) {
            const size_t row = k / e.n_columns, column = k % e.n_columns;
            float *to = x + (e.row + row) * ld + e.column + column;
            const float value = e.from ? e.from[row * e.ld_from + column] : 0.0f;
            *to = e.is_added ? __fadd_rn(*to, __fmul_rn(e.factor, value)) : value;
        }
    }
}

cudaError_t launch_edit(cudaStream_t stream, const edit_params *p, const edit *edits,
                        size_t n_values)
{
    const dim3 grid(blocks_for(p->n_edits, 1), blocks_for(n_values, BLOCK));
    LAUNCH(edit_kernel, grid, BLOCK, 0, stream, p->x, p->ld, edits, p->n_edits);
    return cudaGetLastError();
}
