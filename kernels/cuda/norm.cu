/* LayerNorm and RMSNorm, a warp to a row; norms of heads. Sums of a row run over the lanes in a
 * fixed order, whatever the row's place. Oracle: kernels/cpu/norm_body.h, other order of sums. */
#include "kernels/cuda/grid.cuh"

__global__ void __launch_bounds__(BLOCK) norm_kernel(norm_params p)
{
    const float n = static_cast<float>(p.d);
    for (size_t r = warp_index(); r < p.n_rows; r += n_warps()) {
        const float *x = p.x + r * p.d;
        float *y = p.y + r * p.d;
        const float mean = p.kind == NORM_LAYER ? row_moment(x, p.d, 0.0f, false) / n : 0.0f;
        const float variance = row_moment(x, p.d, mean, true) / n;
        const float factor = 1.0f / sqrtf(variance + p.eps);
        for (size_t i = lane_index(); i < p.d; i += WARP) {
            float value = (x[i] - mean) * factor;
            if (p.weight) value *= p.weight[i];
            if (p.weight && p.bias) value += p.bias[i];
            y[i] = value;
        }
    }
}

cudaError_t launch_norm(cudaStream_t stream, const norm_params *p)
{
    LAUNCH(norm_kernel, blocks_for(p->n_rows, WARPS_OF_BLOCK), BLOCK, 0, stream, *p);
    return cudaGetLastError();
}

/* A warp to a head of a row: lane j holds columns j, j + 32, ... of z F, one after the other. */
__global__ void __launch_bounds__(BLOCK) head_norms_kernel(head_norms_params p)
{
    const size_t d = p.d_head, n = p.n_rows * p.n_heads;
    for (size_t at = warp_index(); at < n; at += n_warps()) {
        const float *z = p.z + at * d, *factor = p.factors + at % p.n_heads * d * d;
        float total = 0.0f;
        for (size_t j = lane_index(); j < d; j += WARP) {
            float sum = 0.0f;
            for (size_t i = 0; i < d; i++) sum = fmaf(z[i], factor[i * d + j], sum);
            total = fmaf(sum, sum, total);
        }
        total = warp_sum(total);
        if (lane_index() == 0) p.out[at] = sqrtf(total);
    }
}

cudaError_t launch_head_norms(cudaStream_t stream, const head_norms_params *p)
{
    LAUNCH(head_norms_kernel, blocks_for(p->n_rows * p->n_heads, WARPS_OF_BLOCK), BLOCK, 0, stream,
           *p);
    return cudaGetLastError();
}
