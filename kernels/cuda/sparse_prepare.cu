/* Tokens of a block made ready for the screen: copied to padded rows, rounded to bf16, with norms
 * that bound the rounding. A warp to a token. Norms are summed in double and rounded up, so that
 * they hold for every n_in. Oracle: none needed; a norm that is too large only costs candidates. */
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/sparse_launch.h"

static __device__ __forceinline__ double warp_sum_double(double value)
{
    for (int flip = WARP / 2; flip > 0; flip /= 2) value += __shfl_xor_sync(ALL_LANES, value, flip);
    return value;
}

static __device__ __forceinline__ float norm_up(double squares)
{
    return static_cast<float>(sqrt(squares)) * 1.0001f;
}

__global__ void __launch_bounds__(BLOCK)
    sparse_prepare_kernel(const float *x, size_t n_in, size_t n_row, float rounding, bool is_bf16,
                          sparse_tokens tokens, unsigned long long *first_bad)
{
    for (size_t t = warp_index(); t < tokens.n_tokens; t += n_warps()) {
        double square = 0, rest = 0, rounded = 0;
        bool is_finite = true;
        for (size_t i = lane_index(); i < n_row; i += WARP) {
            const float value = i < n_in ? x[t * n_in + i] : 0.0f;
            const __nv_bfloat16 high = __float2bfloat16_rn(value);
            const double back = is_bf16 ? __bfloat162float(high) : value, left = value - back;
            is_finite = is_finite && fabsf(value) <= 3.402823466e38f;
            tokens.x[t * n_row + i] = value;
            reinterpret_cast<__nv_bfloat16 *>(tokens.hi)[t * n_row + i] = high;
            square += static_cast<double>(value) * value;
            rest += left * left;
            rounded += back * back;
        }
        square = warp_sum_double(square);
        rest = warp_sum_double(rest);
        rounded = warp_sum_double(rounded);
        if (!is_finite) (void)atomicMin(first_bad, static_cast<unsigned long long>(t));
        if (lane_index() != 0) continue;
        tokens.residual[t] = (norm_up(rest) + norm_up(square) * rounding) * 1.0001f + 1e-30f;
        tokens.norm[t] = is_bf16 ? norm_up(rounded) + 1e-30f : 0.0f; /* f32: weights as they are */
        tokens.least[t] = 0.0f;
    }
}

cudaError_t launch_sparse_prepare(cudaStream_t stream, const float *x, size_t n_in, size_t n_row,
                                  float rounding, bool is_bf16, const sparse_tokens *tokens,
                                  unsigned long long *first_bad)
{
    LAUNCH(sparse_prepare_kernel, blocks_for(tokens->n_tokens, WARPS_OF_BLOCK), BLOCK, 0, stream, x,
           n_in, n_row, rounding, is_bf16, *tokens, first_bad);
    return cudaGetLastError();
}
