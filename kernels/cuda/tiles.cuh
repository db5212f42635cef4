/* Rows of attention heads in shared memory, for attention.cu and attention_backward.cu. */
#ifndef KERNELS_CUDA_TILES_CUH
#define KERNELS_CUDA_TILES_CUH

#include "kernels/cuda/grid.cuh"

enum { TILE_ROWS = 32 }; /* of what passes by: a lane to a row */

/* One tile of rows first .. first + N_ROWS of a head into shared memory [N_ROWS][WIDTH + 1]; rows
 * at or past n_rows and columns behind the head become 0. The odd row length avoids bank
 * conflicts where lanes read down a column. */
template <int WIDTH, int N_ROWS>
static __device__ __forceinline__ void load_tile(float *tile, const float *rows, size_t ld,
                                                 size_t first, size_t n_rows, size_t d_head)
{
    for (unsigned i = threadIdx.x; i < N_ROWS * WIDTH; i += BLOCK) {
        const unsigned r = i / WIDTH, c = i % WIDTH;
        const bool is_there = first + r < n_rows && c < d_head;
        tile[r * (WIDTH + 1) + c] = is_there ? rows[(first + r) * ld + c] : 0.0f;
    }
}

#endif
