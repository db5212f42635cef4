/* What all kernels share: the words of a launch, warps, and rows spread over a grid.
 *
 * A source compiles under nvcc and under g++ with the host emulator (kernels/emu/include), which
 * defines LAUNCH, SHARED_ARRAY, DYNAMIC_SHARED and load_now itself. No inline PTX, no cub, no
 * textures. */
#ifndef KERNELS_CUDA_GRID_CUH
#define KERNELS_CUDA_GRID_CUH

#include "kernels/cuda/launch.h"

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#ifdef __CUDACC__
#define LAUNCH(kernel, grid, block, n_dynamic, stream, ...)                                        \
    kernel<<<grid, block, n_dynamic, stream>>>(__VA_ARGS__)
#define SHARED_ARRAY(type, name, ...) __shared__ type name __VA_ARGS__
#define DYNAMIC_SHARED(type, name)                                                                 \
    extern __shared__ __align__(16) unsigned char dynamic_shared_memory[];                         \
    type *name = reinterpret_cast<type *>(dynamic_shared_memory)
/* Memory that other blocks change by atomics, as it is now: not what a cache of this one holds. */
template <class T> static __device__ __forceinline__ T load_now(const T *at)
{
    return *static_cast<const volatile T *>(at);
}
#endif

enum { WARP = 32, BLOCK = 256, WARPS_OF_BLOCK = BLOCK / WARP };
static const unsigned ALL_LANES = 0xffffffffu;
static const size_t MAX_BLOCKS = 65535; /* that any axis has; loops go on from there */

static __device__ __forceinline__ unsigned lane_index()
{
    return threadIdx.x % WARP;
}

/* This warp's place in the grid, and how many there are: warps take rows in turn. */
static __device__ __forceinline__ size_t warp_index()
{
    return static_cast<size_t>(blockIdx.x) * WARPS_OF_BLOCK + threadIdx.x / WARP;
}

static __device__ __forceinline__ size_t n_warps()
{
    return static_cast<size_t>(gridDim.x) * WARPS_OF_BLOCK;
}

/* Every lane gets the sum; the order depends on nothing but the lanes. */
static __device__ __forceinline__ float warp_sum(float value)
{
    for (int flip = WARP / 2; flip > 0; flip /= 2) value += __shfl_xor_sync(ALL_LANES, value, flip);
    return value;
}

static __device__ __forceinline__ uint32_t warp_count(uint32_t n)
{
    for (int flip = WARP / 2; flip > 0; flip /= 2) n += __shfl_xor_sync(ALL_LANES, n, flip);
    return n;
}

static __device__ __forceinline__ float warp_max(float value)
{
    for (int flip = WARP / 2; flip > 0; flip /= 2)
        value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, flip));
    return value;
}

/* Sum of x - mean, or of its squares, over a row; every lane gets it. */
static __device__ __forceinline__ float row_moment(const float *x, size_t d, float mean,
                                                   bool is_squared)
{
    float sum = 0.0f;
    for (size_t i = lane_index(); i < d; i += WARP) {
        const float rest = x[i] - mean;
        sum = is_squared ? fmaf(rest, rest, sum) : sum + rest;
    }
    return warp_sum(sum);
}

/* This thread's column of a grid of rows. */
static __device__ __forceinline__ size_t column_index()
{
    return static_cast<size_t>(blockIdx.x) * BLOCK + threadIdx.x;
}

/* Blocks for n items, `per_block` each. */
static inline unsigned blocks_for(size_t n, size_t per_block)
{
    const size_t n_blocks = (n + per_block - 1) / per_block;
    return static_cast<unsigned>(n_blocks < MAX_BLOCKS ? n_blocks : MAX_BLOCKS);
}

/* The same along x for kernels that do not go on: every item has its block. There is room for
 * 2^31 - 1. */
static inline unsigned blocks_of_all(size_t n, size_t per_block)
{
    return static_cast<unsigned>((n + per_block - 1) / per_block);
}

/* A row per blockIdx.y (and on), its columns over blockIdx.x. */
static inline dim3 grid_of_rows(size_t n_rows, size_t d)
{
    return dim3(blocks_of_all(d, BLOCK), blocks_for(n_rows, 1));
}

/* Threads for it: no more warps than a short row has columns for. */
static inline unsigned block_of_rows(size_t d)
{
    const size_t n_threads = (d + WARP - 1) / WARP * WARP;
    return static_cast<unsigned>(n_threads < BLOCK ? n_threads : static_cast<size_t>(BLOCK));
}

#endif
