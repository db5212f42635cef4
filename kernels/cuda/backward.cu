/* Adjoints of norms and nonlinearities, and what attribution does row by row. Sums of a row run
 * over the lanes in a fixed order, whatever the row's place. Oracle: kernels/cpu/backward_body.h,
 * other order of sums; blend is equal to the bit. */
#include "kernels/cuda/activation.cuh"

/* With h = (x - mean) f, f = 1 / sqrt(var + eps), g = d_y weight:
 * d_x = f (g - mean(g) - h mean(g h)), without mean(g) where no mean was taken out. A warp to a
 * row; a lane has read its columns before it writes them, so d_x may be d_y. */
__global__ void __launch_bounds__(BLOCK) norm_backward_kernel(norm_backward_params p)
{
    const norm_params &f = p.forward;
    const float n = static_cast<float>(f.d);
    for (size_t r = warp_index(); r < f.n_rows; r += n_warps()) {
        const float *x = f.x + r * f.d, *d_y = p.d_y + r * f.d;
        float *d_x = p.d_x + r * f.d;
        const float mean = f.kind == NORM_LAYER ? row_moment(x, f.d, 0.0f, false) / n : 0.0f;
        const float factor = 1.0f / sqrtf(row_moment(x, f.d, mean, true) / n + f.eps);
        float g_sum = 0.0f, along = 0.0f;
        for (size_t i = lane_index(); i < f.d; i += WARP) {
            const float g = f.weight ? d_y[i] * f.weight[i] : d_y[i];
            g_sum += g;
            along = fmaf(g, x[i] - mean, along);
        }
        const float shift = f.kind == NORM_LAYER ? warp_sum(g_sum) / n : 0.0f;
        along = factor * (warp_sum(along) / n);
        for (size_t i = lane_index(); i < f.d; i += WARP) {
            const float g = f.weight ? d_y[i] * f.weight[i] : d_y[i];
            d_x[i] = factor * (g - shift - (x[i] - mean) * factor * along);
        }
    }
}

cudaError_t launch_norm_backward(cudaStream_t stream, const norm_backward_params *p)
{
    LAUNCH(norm_backward_kernel, blocks_for(p->forward.n_rows, WARPS_OF_BLOCK), BLOCK, 0, stream,
           *p);
    return cudaGetLastError();
}

template <activation kind>
__global__ void __launch_bounds__(BLOCK) activate_backward_kernel(activate_backward_params p)
{
    const activate_params &f = p.forward;
    const size_t i = column_index();
    if (i >= f.d) return;
    const float bias = f.bias ? f.bias[i] : 0.0f, up_bias = f.up_bias ? f.up_bias[i] : 0.0f;
    for (size_t r = blockIdx.y; r < f.n_rows; r += gridDim.y) {
        const float d_out = p.d_out[r * p.ld_d_out + i], x = f.pre[r * f.ld_pre + i] + bias;
        const float d_pre = d_out * slope_of<kind>(x);
        if (f.up) p.d_up[r * p.ld_d + i] = d_out * activation_of<kind>(x);
        p.d_pre[r * p.ld_d + i] = f.up ? d_pre * (f.up[r * f.ld_pre + i] + up_bias) : d_pre;
    }
}

template <activation kind>
static void launch_slope(cudaStream_t stream, const activate_backward_params *p)
{
    LAUNCH(activate_backward_kernel<kind>, grid_of_rows(p->forward.n_rows, p->forward.d),
           block_of_rows(p->forward.d), 0, stream, *p);
}

cudaError_t launch_activate_backward(cudaStream_t stream, const activate_backward_params *p)
{
    switch (p->forward.kind) {
    case ACTIVATION_GELU_TANH: launch_slope<ACTIVATION_GELU_TANH>(stream, p); break;
    case ACTIVATION_GELU_ERF: launch_slope<ACTIVATION_GELU_ERF>(stream, p); break;
    case ACTIVATION_SILU: launch_slope<ACTIVATION_SILU>(stream, p); break;
    case ACTIVATION_RELU:
    case ACTIVATION_N: launch_slope<ACTIVATION_RELU>(stream, p); break;
    }
    return cudaGetLastError();
}

__global__ void __launch_bounds__(BLOCK) blend_kernel(blend_params p)
{
    const size_t n_threads = static_cast<size_t>(gridDim.x) * BLOCK;
    for (size_t i = static_cast<size_t>(blockIdx.x) * BLOCK + threadIdx.x; i < p.n; i += n_threads)
        p.out[i] = __fadd_rn(p.a[i], __fmul_rn(p.factor, p.b[i]));
}

cudaError_t launch_blend(cudaStream_t stream, const blend_params *p)
{
    LAUNCH(blend_kernel, blocks_for(p->n, BLOCK), BLOCK, 0, stream, *p);
    return cudaGetLastError();
}

/* A warp to a group of a row. */
__global__ void __launch_bounds__(BLOCK) group_dots_kernel(group_dots_params p)
{
    const size_t n = p.n_rows * p.n_groups;
    for (size_t at = warp_index(); at < n; at += n_warps()) {
        const size_t r = at / p.n_groups, column = at % p.n_groups * p.d;
        const float *a = p.a + r * p.ld_a + column, *b = p.b + r * p.ld_b + column;
        float sum = 0.0f;
        for (size_t i = lane_index(); i < p.d; i += WARP) sum = fmaf(a[i], b[i], sum);
        sum = warp_sum(sum);
        if (lane_index() == 0) p.out[at] = sum;
    }
}

cudaError_t launch_group_dots(cudaStream_t stream, const group_dots_params *p)
{
    LAUNCH(group_dots_kernel, blocks_for(p->n_rows * p->n_groups, WARPS_OF_BLOCK), BLOCK, 0, stream,
           *p);
    return cudaGetLastError();
}
