/* Candidates by the exact dot of backend.h, bit for bit, and the k largest of a token. Nothing here
 * may be fused or reordered by the compiler: sums and products that round are spelled out.
 * Oracle: kernels/cpu/sparse_refine.c, the same bits. */
#include "kernels/cuda/select.cuh"
#include "kernels/cuda/sparse_launch.h"

enum { DOT_LANES = 16, DOTS_OF_BLOCK = BLOCK / DOT_LANES };

/* Partial sum j of 16 in lane j of half a warp, then folded: j + 8, + 4, + 2, + 1. */
static __device__ __forceinline__ float exact_dot(const float *x, const float *w, size_t n_row,
                                                  unsigned lane)
{
    float sum = 0.0f;
    for (size_t i = lane; i < n_row; i += DOT_LANES) sum = fmaf(x[i], w[i], sum);
    for (int half = DOT_LANES / 2; half > 0; half /= 2)
        sum = __fadd_rn(sum, __shfl_down_sync(ALL_LANES, sum, half, DOT_LANES));
    return sum; /* in lane 0 */
}

/* The rule of backend.h: the activation, or 0 if the feature is silent. */
static __device__ __forceinline__ float activation_value(const sparse_device &s, size_t f,
                                                         float dot)
{
    float pre = __fadd_rn(dot, s.bias[f]);
    if (s.scale) pre = __fmul_rn(pre, s.scale[f]);
    if (!(pre > 0.0f) || (s.floor && !(pre > s.floor[f]))) return 0.0f;
    if (!s.mag_scale) return pre;
    const float value = __fadd_rn(__fmul_rn(dot, s.mag_scale[f]), s.mag_bias[f]);
    return value > 0.0f ? value : 0.0f;
}

/* Half a warp to a candidate. The last one's other half repeats it, and writes nothing. */
__global__ void __launch_bounds__(BLOCK)
    sparse_refine_kernel(sparse_device s, const float *x, sparse_candidates candidates,
                         unsigned long long *first_bad)
{
    const unsigned lane = threadIdx.x % DOT_LANES;
    const size_t step = static_cast<size_t>(gridDim.x) * DOTS_OF_BLOCK;
    const size_t first = static_cast<size_t>(blockIdx.x) * DOTS_OF_BLOCK + threadIdx.x / DOT_LANES;
    const size_t n_rounds = (candidates.n + step - 1) / step;
    for (size_t round = 0; round < n_rounds; round++) {
        const size_t own = first + round * step;
        const size_t c = own < candidates.n ? own : candidates.n - 1;
        const size_t t = candidates.token[c], f = candidates.feature[c];
        const float dot = exact_dot(x + t * s.n_row, s.rows + f * s.n_row, s.n_row, lane);
        if (lane != 0 || own >= candidates.n) continue;
        const float value = activation_value(s, f, dot);
        const bool is_finite = fabsf(dot) <= 3.402823466e38f && value <= 3.402823466e38f;
        if (!is_finite) (void)atomicMin(first_bad, static_cast<unsigned long long>(t) << 32 | f);
        candidates.value[c] = is_finite ? value : 0.0f;
    }
}

cudaError_t launch_sparse_refine(cudaStream_t stream, const sparse_device *s, const float *x,
                                 const sparse_candidates *candidates, unsigned long long *first_bad)
{
    LAUNCH(sparse_refine_kernel, blocks_for(candidates->n, DOTS_OF_BLOCK), BLOCK, 0, stream, *s, x,
           *candidates, first_bad);
    return cudaGetLastError();
}

/* A block to a token. Keys are the value's bits above the feature's complement: all different, the
 * larger value first, then the lower feature. */
__global__ void __launch_bounds__(BLOCK) sparse_keep_kernel(const uint32_t *starts, size_t n_tokens,
                                                            size_t k, sparse_candidates candidates)
{
    SHARED_ARRAY(selection, shared, [1]);
    for (size_t t = blockIdx.x; t < n_tokens; t += gridDim.x) {
        const size_t first = starts[t], n = starts[t + 1] - first;
        const auto key = [&](size_t i) -> unsigned long long {
            const float value = candidates.value[first + i];
            if (value == 0.0f) return 0;
            return static_cast<unsigned long long>(__float_as_uint(value)) << 32 |
                   ~candidates.feature[first + i];
        };
        const unsigned long long least = kth_largest(shared, n, k, 64, key);
        for (size_t i = threadIdx.x; i < n; i += BLOCK)
            if (key(i) < least) candidates.value[first + i] = 0.0f;
        __syncthreads();
    }
}

cudaError_t launch_sparse_keep(cudaStream_t stream, const uint32_t *starts, size_t n_tokens,
                               size_t k, const sparse_candidates *candidates)
{
    LAUNCH(sparse_keep_kernel, blocks_for(n_tokens, 1), BLOCK, 0, stream, starts, n_tokens, k,
           *candidates);
    return cudaGetLastError();
}
