/* Distributions compared while their logits go by, a tile of columns at a time.
 *
 * With a and b the two rows' logits, the kernel carries for each pair the largest a and b so far,
 * the sums of exp(a - largest) and exp(b - largest), and that of exp(a - largest) (a - b). Then
 *
 *   KL = (sum of exp(a - largest) (a - b)) / (sum of exp(a - largest)) - (log-sum a - log-sum b)
 *
 * which is exactly 0 for equal rows: both states are the same bits, and every a - b is 0. All sums
 * are in double; a block takes a pair, a thread every BLOCK-th column, and threads, warps and tiles
 * are added in one order. Oracle: kernels/divergence.c, which sums twice over whole rows. */
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/row_launch.h"

static __device__ __forceinline__ double warp_total(double value)
{
    for (int flip = WARP / 2; flip > 0; flip /= 2) value += __shfl_xor_sync(ALL_LANES, value, flip);
    return value;
}

/* Room for what each warp has; all threads come to both functions. */
struct by_warp {
    double of[WARPS_OF_BLOCK];
};

static __device__ __forceinline__ double block_largest(by_warp &warps, float value)
{
    value = warp_max(value);
    __syncthreads(); /* the last use of `warps` is over */
    if (lane_index() == 0) warps.of[threadIdx.x / WARP] = static_cast<double>(value);
    __syncthreads();
    double most = warps.of[0];
    for (int i = 1; i < WARPS_OF_BLOCK; i++) most = fmax(most, warps.of[i]);
    return most;
}

static __device__ __forceinline__ double block_total(by_warp &warps, double value)
{
    value = warp_total(value);
    __syncthreads();
    if (lane_index() == 0) warps.of[threadIdx.x / WARP] = value;
    __syncthreads();
    double sum = 0.0;
    for (int i = 0; i < WARPS_OF_BLOCK; i++) sum += warps.of[i];
    return sum;
}

static __device__ __forceinline__ bool is_finite(float x)
{
    return fabsf(x) <= 3.402823466e38f;
}

/* The tile by itself. a, b: its columns of the two rows. */
static __device__ __forceinline__ diverge_state state_of_tile(by_warp &warps, const float *a,
                                                              const float *b, size_t n)
{
    float a_most = -INFINITY, b_most = -INFINITY;
    double n_bad = 0.0, a_sum = 0.0, b_sum = 0.0, cross = 0.0;
    for (size_t i = threadIdx.x; i < n; i += BLOCK) {
        a_most = fmaxf(a_most, a[i]);
        b_most = fmaxf(b_most, b[i]);
        n_bad += (is_finite(a[i]) ? 0.0 : 1.0) + (is_finite(b[i]) ? 0.0 : 1.0);
    }
    diverge_state s;
    s.p_largest = block_largest(warps, a_most);
    s.q_largest = block_largest(warps, b_most);
    for (size_t i = threadIdx.x; i < n; i += BLOCK) {
        const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        const double weight = exp(x - s.p_largest);
        a_sum += weight;
        b_sum += exp(y - s.q_largest);
        cross += weight * (x - y);
    }
    s.p_sum = block_total(warps, a_sum);
    s.q_sum = block_total(warps, b_sum);
    s.cross = block_total(warps, cross);
    s.n_not_finite = block_total(warps, n_bad);
    return s;
}

static __device__ __forceinline__ diverge_state merged(const diverge_state &a,
                                                       const diverge_state &b)
{
    diverge_state s;
    s.p_largest = fmax(a.p_largest, b.p_largest);
    s.q_largest = fmax(a.q_largest, b.q_largest);
    const double p_a = exp(a.p_largest - s.p_largest), p_b = exp(b.p_largest - s.p_largest);
    const double q_a = exp(a.q_largest - s.q_largest), q_b = exp(b.q_largest - s.q_largest);
    s.p_sum = a.p_sum * p_a + b.p_sum * p_b;
    s.q_sum = a.q_sum * q_a + b.q_sum * q_b;
    s.cross = a.cross * p_a + b.cross * p_b;
    s.n_not_finite = a.n_not_finite + b.n_not_finite;
    return s;
}

static __device__ __forceinline__ divergence result_of(const diverge_state &s)
{
    const double p_log = s.p_largest + log(s.p_sum), q_log = s.q_largest + log(s.q_sum);
    const double kl = s.cross / s.p_sum - (p_log - q_log);
    divergence out;
    out.kl = s.n_not_finite > 0.0 ? NAN : kl > 0.0 ? kl : 0.0;
    out.largest = s.q_largest;
    out.sum = s.q_sum;
    out.n_not_finite = s.n_not_finite;
    return out;
}

/* Launch: a pair per blockIdx.x (and on). */
__global__ void __launch_bounds__(BLOCK) diverge_kernel(diverge_tile t)
{
    SHARED_ARRAY(by_warp, warps);
    for (size_t i = blockIdx.x; i < t.n_pairs; i += gridDim.x) {
        const float *a = t.logits + t.pairs[i].p * t.ld, *b = t.logits + t.pairs[i].q * t.ld;
        diverge_state s = state_of_tile(warps, a, b, t.n);
        if (threadIdx.x == 0) {
            if (!t.is_first) s = merged(t.states[i], s);
            if (t.is_last)
                t.out[i] = result_of(s);
            else
                t.states[i] = s;
        }
        for (size_t c = threadIdx.x; c < t.n_columns; c += BLOCK) {
            const size_t column = t.columns[c];
            if (column >= t.first && column - t.first < t.n)
                t.asked[i * t.n_columns + c] = b[column - t.first];
        }
    }
}

cudaError_t launch_diverge(cudaStream_t stream, const diverge_tile *tile)
{
    LAUNCH(diverge_kernel, blocks_for(tile->n_pairs, 1), BLOCK, 0, stream, *tile);
    return cudaGetLastError();
}
