/* Operations of one value at a time: embedding, sums of rows, activations, rotation, bf16 parts.
 * All are bound by memory: one read and one write of each value. A row to blockIdx.y, so no
 * division is needed to find row and column. Oracles: kernels/cpu (norm_body.h,
 * activation_body.h); embed, add, rotate and bf16 parts are equal to the bit, activations within
 * 1e-6. */
#include "kernels/cuda/activation.cuh"

__global__ void __launch_bounds__(BLOCK) embed_kernel(embed_params p, const uint32_t *tokens)
{
    const size_t i = column_index();
    if (i >= p.d_model) return;
    for (size_t r = blockIdx.y; r < p.n_rows; r += gridDim.y) {
        float value = p.token_table ? p.token_table[tokens[r] * p.d_model + i] : 0.0f;
        if (p.position_table) {
            const float position = p.position_table[r % p.n_ctx * p.d_model + i];
            value = p.token_table ? value + position : position;
        }
        p.out[r * p.d_model + i] = value;
    }
}

cudaError_t launch_embed(cudaStream_t stream, const embed_params *p, const uint32_t *tokens)
{
    LAUNCH(embed_kernel, grid_of_rows(p->n_rows, p->d_model), block_of_rows(p->d_model), 0, stream,
           *p, tokens);
    return cudaGetLastError();
}

__global__ void __launch_bounds__(BLOCK) add_kernel(add_params p)
{
    const size_t i = column_index();
    if (i >= p.d) return;
    for (size_t r = blockIdx.y; r < p.n_rows; r += gridDim.y) {
        float sum = p.a[r * p.ld_a + i];
        if (p.b)
            sum += p.bias ? p.b[r * p.d + i] + p.bias[i] : p.b[r * p.d + i];
        else if (p.bias)
            sum += p.bias[i];
        p.out[r * p.ld_out + i] = sum;
    }
}

cudaError_t launch_add(cudaStream_t stream, const add_params *p)
{
    LAUNCH(add_kernel, grid_of_rows(p->n_rows, p->d), block_of_rows(p->d), 0, stream, *p);
    return cudaGetLastError();
}

template <activation kind>
__global__ void __launch_bounds__(BLOCK) activate_kernel(activate_params p)
{
    const size_t i = column_index();
    if (i >= p.d) return;
    const float bias = p.bias ? p.bias[i] : 0.0f, up_bias = p.up_bias ? p.up_bias[i] : 0.0f;
    for (size_t r = blockIdx.y; r < p.n_rows; r += gridDim.y) {
        const float y = activation_of<kind>(p.pre[r * p.ld_pre + i] + bias);
        p.out[r * p.ld_out + i] = p.up ? y * (p.up[r * p.ld_pre + i] + up_bias) : y;
    }
}

template <activation kind> static void launch_kind(cudaStream_t stream, const activate_params *p)
{
    LAUNCH(activate_kernel<kind>, grid_of_rows(p->n_rows, p->d), block_of_rows(p->d), 0, stream,
           *p);
}

cudaError_t launch_activate(cudaStream_t stream, const activate_params *p)
{
    switch (p->kind) {
    case ACTIVATION_GELU_TANH: launch_kind<ACTIVATION_GELU_TANH>(stream, p); break;
    case ACTIVATION_GELU_ERF: launch_kind<ACTIVATION_GELU_ERF>(stream, p); break;
    case ACTIVATION_SILU: launch_kind<ACTIVATION_SILU>(stream, p); break;
    case ACTIVATION_RELU:
    case ACTIVATION_N: launch_kind<ACTIVATION_RELU>(stream, p); break;
    }
    return cudaGetLastError();
}

/* blockIdx.y: row; a thread turns one pair of one head. */
__global__ void __launch_bounds__(BLOCK) rotate_kernel(rotate_params p)
{
    const size_t half = p.d_head / 2;
    const size_t pair = column_index();
    if (pair >= p.n_heads * half) return;
    const size_t head = pair / half, i = pair % half;
    const size_t first = head * p.d_head + (p.is_interleaved ? 2 * i : i);
    for (size_t r = blockIdx.y; r < p.n_rows; r += gridDim.y) {
        float *low = p.x + r * p.ld + first, *high = low + (p.is_interleaved ? 1 : half);
        const float c = p.cos[r % p.n_ctx * half + i], s = p.sin[r % p.n_ctx * half + i];
        const float a = *low, b = *high;
        *low = __fadd_rn(__fmul_rn(a, c), -__fmul_rn(b, s));
        *high = __fadd_rn(__fmul_rn(b, c), __fmul_rn(a, s));
    }
}

cudaError_t launch_rotate(cudaStream_t stream, const rotate_params *p)
{
    const size_t n_pairs = p->n_heads * (p->d_head / 2);
    LAUNCH(rotate_kernel, grid_of_rows(p->n_rows, n_pairs), block_of_rows(n_pairs), 0, stream, *p);
    return cudaGetLastError();
}

__global__ void __launch_bounds__(BLOCK)
    split_bf16_kernel(const float *x, size_t ld_x, size_t n_rows, size_t d, __nv_bfloat16 *hi,
                      __nv_bfloat16 *lo)
{
    const size_t i = column_index();
    if (i >= d) return;
    for (size_t r = blockIdx.y; r < n_rows; r += gridDim.y) {
        const float value = x[r * ld_x + i];
        const __nv_bfloat16 high = __float2bfloat16_rn(value);
        hi[r * d + i] = high;
        if (lo) lo[r * d + i] = __float2bfloat16_rn(value - __bfloat162float(high));
    }
}

cudaError_t launch_split_bf16(cudaStream_t stream, const float *x, size_t ld_x, size_t n_rows,
                              size_t d, uint16_t *hi, uint16_t *lo)
{
    LAUNCH(split_bf16_kernel, grid_of_rows(n_rows, d), block_of_rows(d), 0, stream, x, ld_x, n_rows,
           d, reinterpret_cast<__nv_bfloat16 *>(hi), reinterpret_cast<__nv_bfloat16 *>(lo));
    return cudaGetLastError();
}
