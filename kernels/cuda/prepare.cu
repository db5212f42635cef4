/* Rows for a dictionary: kernels/prepare_row.c with the same bits. Its sums run down a row in one
 * order, so a thread takes a row; what has no sums goes over all columns at once. */
#include "kernels/cuda/grid.cuh"

enum { ROWS_OF_BLOCK = 32 }; /* few, so that a thousand rows reach every multiprocessor */

static __device__ __forceinline__ double row_sum(const float *x, size_t d)
{
    double sum = 0;
    for (size_t i = 0; i < d; i++) sum += static_cast<double>(x[i]);
    return sum;
}

static __device__ __forceinline__ double row_squares(const float *x, size_t d)
{
    double sum = 0;
    for (size_t i = 0; i < d; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return sum;
}

/* to = from - its mean */
static __device__ __forceinline__ void take_mean(const float *from, float *to, size_t d)
{
    const float mean = static_cast<float>(row_sum(from, d) / static_cast<double>(d));
    for (size_t i = 0; i < d; i++) to[i] = from[i] - mean;
}

/* Returns what undoes it. */
static __device__ __forceinline__ float layer_norm(const float *from, float *to, size_t d)
{
    const double n = static_cast<double>(d);
    take_mean(from, to, d);
    const double mean = row_sum(to, d) / n;
    const double squares = row_squares(to, d) - n * mean * mean;
    const double variance = fmax(squares, 0.0) / static_cast<double>(d - 1);
    const float divisor = static_cast<float>(sqrt(variance)) + 1e-5f;
    for (size_t i = 0; i < d; i++) to[i] /= divisor;
    return divisor;
}

static __device__ __forceinline__ float constant_norm(const float *from, float *to, size_t d)
{
    const float length = static_cast<float>(sqrt(row_squares(from, d)));
    const float factor = sqrtf(static_cast<float>(d)) / length;
    for (size_t i = 0; i < d; i++) to[i] = from[i] * factor;
    return 1.0f / factor;
}

/* Centre and norm; a thread to a row. */
__global__ void __launch_bounds__(ROWS_OF_BLOCK) norm_rows_kernel(prepare_params p)
{
    const size_t step = static_cast<size_t>(gridDim.x) * ROWS_OF_BLOCK;
    const size_t first = static_cast<size_t>(blockIdx.x) * ROWS_OF_BLOCK + threadIdx.x;
    for (size_t r = first; r < p.n_rows; r += step) {
        const float *from = p.x + r * p.d;
        float *to = p.out + r * p.d;
        if (p.is_centred) {
            take_mean(from, to, p.d);
            from = to;
        }
        if (p.kind == PREPARE_NONE) continue;
        const float scale =
            p.kind == PREPARE_LAYER ? layer_norm(from, to, p.d) : constant_norm(from, to, p.d);
        if (p.scales) p.scales[r] = scale;
    }
}

__global__ void __launch_bounds__(BLOCK)
    subtract_bias_kernel(const float *x, const float *bias, float *out, size_t n_rows, size_t d)
{
    const size_t i = static_cast<size_t>(blockIdx.x) * BLOCK + threadIdx.x;
    if (i >= d) return;
    const float own = bias ? bias[i] : 0.0f;
    for (size_t r = blockIdx.y; r < n_rows; r += gridDim.y) {
        const float value = x[r * d + i];
        out[r * d + i] = bias ? value - own : value;
    }
}

cudaError_t launch_prepare_rows(cudaStream_t stream, const prepare_params *p)
{
    const bool has_sums = p->is_centred || p->kind != PREPARE_NONE;
    if (has_sums)
        LAUNCH(norm_rows_kernel, blocks_for(p->n_rows, ROWS_OF_BLOCK), ROWS_OF_BLOCK, 0, stream,
               *p);
    if (p->bias || !has_sums)
        LAUNCH(subtract_bias_kernel, grid_of_rows(p->n_rows, p->d), BLOCK, 0, stream,
               has_sums ? p->out : p->x, p->bias, p->out, p->n_rows, p->d);
    return cudaGetLastError();
}
