/* The adjoint of causal attention, in two kernels, without atomics.
 *
 *   queries_kernel   a tile of queries against all keys before them, twice: first the softmax's
 *                    top and total and the mean weight  m = sum_u p_u (d_z . v_u),  which are kept
 *                    for the other kernel; then  d_q = sum_t s_t k_t,
 *                    s_t = scale p_t (d_z . v_t - m), times the slope of a capped score
 *   keys_kernel      a tile of keys against all queries after them, head by head of the group:
 *                    d_k = sum_i s_i q_i,  d_v = sum_i p_i d_z_i
 *
 * Both have the plan of attention.cu: a block holds 8 N rows of its own as a pair (queries and d_z;
 * or keys and values), the other pair passes through shared memory in tiles of 32; a warp owns N
 * rows, lane j works on row j of the tile, the factors go through shared memory, then lane j sums
 * columns j, j + 32, ... Sums run in ascending order of keys, and of heads and queries.
 * Oracle: kernels/cpu/attention_backward_body.h, within 1e-5 of the largest value. */
#include "kernels/cuda/tiles.cuh"

#include <float.h>

/* Largest score, sum of exp(score - top), mean weight: each [n_heads, n_sequences * n_ctx]. */
struct query_states {
    float *top, *total, *mean;
};

static query_states states_in(float *scratch, const attend_params &p)
{
    const size_t n = p.n_sequences * p.n_ctx * p.n_heads;
    return {scratch, scratch + n, scratch + 2 * n};
}

/* Rows of a head in one sequence. */
struct head_rows {
    const float *rows;
    size_t ld;
};

/* Pairs of rows in shared memory, WIDTH + 1 apart: a block's own, and the tile that passes. */
template <int WIDTH, int N> struct pair_tiles {
    static constexpr int OWN = N * WARPS_OF_BLOCK, ROW = WIDTH + 1;
    float *own[2], *tile[2], *factors[2]; /* factors: this warp's, [N][TILE_ROWS] each */

    __device__ __forceinline__ explicit pair_tiles(float *memory)
    {
        for (int i = 0; i < 2; i++) {
            own[i] = memory + i * OWN * ROW;
            tile[i] = memory + (2 * OWN + i * TILE_ROWS) * ROW;
            factors[i] = memory + 2 * (OWN + TILE_ROWS) * ROW +
                         (i * WARPS_OF_BLOCK + threadIdx.x / WARP) * N * TILE_ROWS;
        }
    }
    __device__ __forceinline__ const float *own_row(int i, int n) const
    {
        return own[i] + (threadIdx.x / WARP * N + n) * ROW;
    }
};

template <int WIDTH, int N> static size_t pair_bytes()
{
    return (2 * (N * WARPS_OF_BLOCK + TILE_ROWS) * (WIDTH + 1) +
            2 * N * WARPS_OF_BLOCK * TILE_ROWS) *
           sizeof(float);
}

template <int WIDTH>
static __device__ __forceinline__ float tile_dot(const float *own, const float *tile)
{
    const float *row = tile + lane_index() * (WIDTH + 1);
    float sum = 0.0f;
    for (int c = 0; c < WIDTH; c++) sum = fmaf(own[c], row[c], sum);
    return sum;
}

/* sums of row n += the tile's rows times this warp's factors of them. */
template <int WIDTH, int N>
static __device__ __forceinline__ void add_tile(float (&sums)[N][WIDTH / WARP],
                                                const float *factors, const float *tile)
{
    for (int row = 0; row < TILE_ROWS; row++) {
#pragma unroll
        for (int i = 0; i < WIDTH / WARP; i++) {
            const float value = tile[row * (WIDTH + 1) + i * WARP + lane_index()];
#pragma unroll
            for (int n = 0; n < N; n++)
                sums[n][i] = fmaf(factors[n * TILE_ROWS + row], value, sums[n][i]);
        }
    }
}

template <int WIDTH, int N>
static __device__ __forceinline__ void clear(float (&sums)[N][WIDTH / WARP])
{
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
        for (int i = 0; i < WIDTH / WARP; i++) sums[n][i] = 0.0f;
}

/* This warp's rows first .. first + N of a head; 0 at and past `length`, nothing past n_ctx. */
template <int WIDTH, int N>
static __device__ __forceinline__ void write_rows(const float (&sums)[N][WIDTH / WARP], float *out,
                                                  size_t ld, size_t first, size_t length,
                                                  const attend_params &p)
{
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
        for (int i = 0; i < WIDTH / WARP; i++) {
            const size_t column = i * WARP + lane_index();
            if (first + n < p.n_ctx && column < p.d_head)
                out[(first + n) * ld + column] = first + n < length ? sums[n][i] : 0.0f;
        }
}

/* --- queries ------------------------------------------------------------------------------- */

template <int N> struct own_queries {
    float top[N], total[N], mean[N];
    size_t first;
};

/* Score and weight (d_z . v) of the tile's key `lane`, for query n of this warp. */
template <int WIDTH, int N>
static __device__ __forceinline__ void score_key(const pair_tiles<WIDTH, N> &t, int n,
                                                 const score_rule &rule, float *score,
                                                 float *weight)
{
    *score = score_of(rule, tile_dot<WIDTH>(t.own_row(0, n), t.tile[0]));
    *weight = tile_dot<WIDTH>(t.own_row(1, n), t.tile[1]);
}

/* Folds a tile of keys into top, total and the sum of exp(score - top) weight (in `mean`). */
template <int WIDTH, int N>
static __device__ __forceinline__ void fold_keys(const pair_tiles<WIDTH, N> &t, own_queries<N> &q,
                                                 size_t first_key, const score_rule &rule)
{
#pragma unroll
    for (int n = 0; n < N; n++) {
        const bool counts = is_seen(rule, q.first + n, first_key + lane_index());
        float score = -FLT_MAX, weight = 0.0f;
        if (counts) score_key(t, n, rule, &score, &weight);
        const float top = fmaxf(q.top[n], warp_max(score));
        const float e = counts ? expf(score - top) : 0.0f, shrink = expf(q.top[n] - top);
        q.top[n] = top;
        q.total[n] = fmaf(q.total[n], shrink, warp_sum(e));
        q.mean[n] = fmaf(q.mean[n], shrink, warp_sum(e * weight));
    }
}

/* sums += s k over a tile of keys. */
template <int WIDTH, int N>
static __device__ __forceinline__ void add_keys(const pair_tiles<WIDTH, N> &t,
                                                const own_queries<N> &q, size_t first_key,
                                                const score_rule &rule,
                                                float (&sums)[N][WIDTH / WARP])
{
#pragma unroll
    for (int n = 0; n < N; n++) {
        float score, weight, s = 0.0f;
        if (is_seen(rule, q.first + n, first_key + lane_index())) {
            score_key(t, n, rule, &score, &weight);
            s = rule.scale * (expf(score - q.top[n]) / q.total[n]) * (weight - q.mean[n]) *
                slope_of(rule, score);
        }
        t.factors[0][n * TILE_ROWS + lane_index()] = s;
    }
    __syncwarp();
    add_tile<WIDTH, N>(sums, t.factors[0], t.tile[0]);
}

template <int N>
static __device__ __forceinline__ void finish_states(own_queries<N> &q, const query_states &out,
                                                     size_t row, size_t length)
{
#pragma unroll
    for (int n = 0; n < N; n++) {
        q.mean[n] /= q.total[n];
        if (lane_index() != 0 || q.first + n >= length) continue;
        out.top[row + q.first + n] = q.top[n];
        out.total[row + q.first + n] = q.total[n];
        out.mean[row + q.first + n] = q.mean[n];
    }
}

/* Launch: x tiles of queries, y heads, z sequences. */
template <int WIDTH, int N>
__global__ void __launch_bounds__(BLOCK, 1)
    queries_kernel(attend_backward_params p, const uint32_t *lengths, query_states out)
{
    enum { OWN = N * WARPS_OF_BLOCK };
    DYNAMIC_SHARED(float, memory);
    const pair_tiles<WIDTH, N> t(memory);
    const attend_params &f = p.forward;
    const score_rule rule = {f.window, f.scale, f.soft_cap};
    const size_t head = blockIdx.y, at = head * f.d_head, d_z = f.n_heads * f.d_head;
    const size_t at_kv = head / (f.n_heads / f.n_kv_heads) * f.d_head;
    const size_t first = static_cast<size_t>(blockIdx.x) * OWN;
    for (size_t s = blockIdx.z; s < f.n_sequences; s += gridDim.z) {
        const size_t row = s * f.n_ctx, length = lengths[s];
        const size_t end = first + OWN < length ? first + OWN : length;
        const float *const passing[2] = {f.k + row * f.ld + at_kv, f.v + row * f.ld + at_kv};
        own_queries<N> q;
        q.first = first + threadIdx.x / WARP * N;
        float sums[N][WIDTH / WARP];
#pragma unroll
        for (int n = 0; n < N; n++) {
            q.top[n] = -FLT_MAX;
            q.total[n] = q.mean[n] = 0.0f;
        }
        clear<WIDTH, N>(sums);
        load_tile<WIDTH, OWN>(t.own[0], f.q + row * f.ld + at, f.ld, first, length, f.d_head);
        load_tile<WIDTH, OWN>(t.own[1], p.d_z + row * d_z + at, d_z, first, length, f.d_head);
        for (int pass = 0; pass < 2; pass++) {
            for (size_t key = 0; first < length && key < end; key += TILE_ROWS) {
                for (int i = 0; i < 2; i++)
                    load_tile<WIDTH, TILE_ROWS>(t.tile[i], passing[i], f.ld, key, length, f.d_head);
                __syncthreads();
                if (pass == 0)
                    fold_keys<WIDTH, N>(t, q, key, rule);
                else
                    add_keys<WIDTH, N>(t, q, key, rule, sums);
                __syncthreads(); /* before the next tile */
            }
            if (pass == 0) finish_states<N>(q, out, head * f.n_sequences * f.n_ctx + row, length);
        }
        write_rows<WIDTH, N>(sums, p.d_q + row * p.ld_d + at, p.ld_d, q.first, length, f);
        __syncthreads(); /* before the next sequence's queries */
    }
}

/* --- keys and values ----------------------------------------------------------------------- */

/* d_k and d_v of this warp's keys += what a tile of queries of one head says. The state of query
 * number first_query lies at `row`. */
template <int WIDTH, int N>
static __device__ __forceinline__ void add_queries(const pair_tiles<WIDTH, N> &t,
                                                   const query_states &states, size_t row,
                                                   size_t first_query, size_t first_key,
                                                   size_t length, const score_rule &rule,
                                                   float (&d_k)[N][WIDTH / WARP],
                                                   float (&d_v)[N][WIDTH / WARP])
{
    const size_t query = first_query + lane_index();
    const bool is_there = query < length;
    const float top = is_there ? states.top[row + lane_index()] : 0.0f,
                total = is_there ? states.total[row + lane_index()] : 1.0f,
                mean = is_there ? states.mean[row + lane_index()] : 0.0f;
#pragma unroll
    for (int n = 0; n < N; n++) {
        float probability = 0.0f, s = 0.0f;
        if (is_there && is_seen(rule, query, first_key + n)) {
            const float score = score_of(rule, tile_dot<WIDTH>(t.own_row(0, n), t.tile[0]));
            const float weight = tile_dot<WIDTH>(t.own_row(1, n), t.tile[1]);
            probability = expf(score - top) / total;
            s = rule.scale * probability * (weight - mean) * slope_of(rule, score);
        }
        t.factors[0][n * TILE_ROWS + lane_index()] = s;
        t.factors[1][n * TILE_ROWS + lane_index()] = probability;
    }
    __syncwarp();
    add_tile<WIDTH, N>(d_k, t.factors[0], t.tile[0]);
    add_tile<WIDTH, N>(d_v, t.factors[1], t.tile[1]);
}

/* Launch: x tiles of keys, y key and value heads, z sequences. */
template <int WIDTH, int N>
__global__ void __launch_bounds__(BLOCK, 1)
    keys_kernel(attend_backward_params p, const uint32_t *lengths, query_states states)
{
    enum { OWN = N * WARPS_OF_BLOCK };
    DYNAMIC_SHARED(float, memory);
    const pair_tiles<WIDTH, N> t(memory);
    const attend_params &f = p.forward;
    const score_rule rule = {f.window, f.scale, f.soft_cap};
    const size_t kv = blockIdx.y, at_kv = kv * f.d_head, d_z = f.n_heads * f.d_head;
    const size_t group = f.n_heads / f.n_kv_heads;
    const size_t first = static_cast<size_t>(blockIdx.x) * OWN;
    const size_t first_own = first + threadIdx.x / WARP * N;
    for (size_t s = blockIdx.z; s < f.n_sequences; s += gridDim.z) {
        const size_t row = s * f.n_ctx, length = lengths[s];
        float d_k[N][WIDTH / WARP], d_v[N][WIDTH / WARP];
        clear<WIDTH, N>(d_k);
        clear<WIDTH, N>(d_v);
        load_tile<WIDTH, OWN>(t.own[0], f.k + row * f.ld + at_kv, f.ld, first, length, f.d_head);
        load_tile<WIDTH, OWN>(t.own[1], f.v + row * f.ld + at_kv, f.ld, first, length, f.d_head);
        for (size_t head = kv * group; head < (kv + 1) * group; head++) {
            const size_t at = head * f.d_head;
            for (size_t query = first / TILE_ROWS * TILE_ROWS; query < length; query += TILE_ROWS) {
                load_tile<WIDTH, TILE_ROWS>(t.tile[0], f.q + row * f.ld + at, f.ld, query, length,
                                            f.d_head);
                load_tile<WIDTH, TILE_ROWS>(t.tile[1], p.d_z + row * d_z + at, d_z, query, length,
                                            f.d_head);
                __syncthreads();
                add_queries<WIDTH, N>(t, states, head * f.n_sequences * f.n_ctx + row + query,
                                      query, first_own, length, rule, d_k, d_v);
                __syncthreads(); /* before the next tile */
            }
        }
        write_rows<WIDTH, N>(d_k, p.d_k + row * p.ld_d + at_kv, p.ld_d, first_own, length, f);
        write_rows<WIDTH, N>(d_v, p.d_v + row * p.ld_d + at_kv, p.ld_d, first_own, length, f);
        __syncthreads(); /* before the next sequence's keys */
    }
}

/* --- launches ------------------------------------------------------------------------------ */

template <int WIDTH, int N>
static cudaError_t launch_width(cudaStream_t stream, const attend_backward_params *p,
                                const uint32_t *lengths, float *scratch)
{
    const attend_params &f = p->forward;
    const query_states states = states_in(scratch, f);
    const unsigned n_tiles = blocks_of_all(f.n_ctx, N * WARPS_OF_BLOCK),
                   n_sequences = blocks_for(f.n_sequences, 1);
    LAUNCH((queries_kernel<WIDTH, N>), dim3(n_tiles, static_cast<unsigned>(f.n_heads), n_sequences),
           BLOCK, (pair_bytes<WIDTH, N>()), stream, *p, lengths, states);
    const cudaError_t code = cudaGetLastError();
    if (code != cudaSuccess) return code;
    LAUNCH((keys_kernel<WIDTH, N>), dim3(n_tiles, static_cast<unsigned>(f.n_kv_heads), n_sequences),
           BLOCK, (pair_bytes<WIDTH, N>()), stream, *p, lengths, states);
    return cudaGetLastError();
}

cudaError_t launch_attend_backward(cudaStream_t stream, const attend_backward_params *p,
                                   const uint32_t *lengths, float *scratch)
{
    const size_t d = p->forward.d_head;
    if (d <= 32) return launch_width<32, 4>(stream, p, lengths, scratch);
    if (d <= 64) return launch_width<64, 4>(stream, p, lengths, scratch);
    if (d <= 128) return launch_width<128, 2>(stream, p, lengths, scratch);
    return launch_width<ATTEND_MAX_HEAD, 1>(stream, p, lengths, scratch);
}

template <int WIDTH, int N> static cudaError_t allow_pairs()
{
    const void *const kernels[] = {reinterpret_cast<const void *>(queries_kernel<WIDTH, N>),
                                   reinterpret_cast<const void *>(keys_kernel<WIDTH, N>)};
    for (const void *kernel : kernels) {
        const cudaError_t code =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(pair_bytes<WIDTH, N>()));
        if (code != cudaSuccess) return code;
    }
    return cudaSuccess;
}

cudaError_t launch_prepare_backward(void)
{
    const cudaError_t code = allow_pairs<128, 2>();
    return code == cudaSuccess ? allow_pairs<ATTEND_MAX_HEAD, 1>() : code;
}
