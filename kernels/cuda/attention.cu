/* Causal attention with online softmax (Milakov and Gimelshein 2018; tiles as in Dao et al. 2022).
 *
 * A block takes 8 N queries of one head of one sequence; keys and values pass through shared memory
 * in tiles of 32. A warp owns N queries: lane j scores key j of the tile, the weights go through
 * shared memory, then lane j sums value columns j, j + 32, ... Tiles start at multiples of 32 for
 * every query, so a query's result depends on itself and its keys alone. WIDTH is the head size
 * rounded up to whole warps; columns behind the head are zeros. N keeps the shared memory of a
 * block under the 99 KB of the smaller architectures.
 * Oracle: kernels/cpu/attention_body.h, within 1e-5 of the largest value. */
#include "kernels/cuda/tiles.cuh"

#include <float.h>

enum { KEYS = TILE_ROWS };

template <int WIDTH> struct query_state {
    float top, total;         /* largest score so far; sum of exp(score - top) */
    float sums[WIDTH / WARP]; /* of exp(score - top) v, this lane's columns */
};

/* Scores of this warp's queries against the tile, folded into their states; `weights` receives
 * exp(score - top) of the tile. Query number q of the warp sees keys at or before its place. */
template <int WIDTH, int N>
static __device__ __forceinline__ void score_tile(query_state<WIDTH> *states, const float *queries,
                                                  const float *keys, float *weights,
                                                  size_t first_query, size_t first_key,
                                                  score_rule rule)
{
    const unsigned lane = lane_index();
    const size_t key = first_key + lane;
#pragma unroll
    for (int q = 0; q < N; q++) {
        const bool counts = is_seen(rule, first_query + q, key);
        float dot = 0.0f;
        if (counts)
            for (int c = 0; c < WIDTH; c++)
                dot = fmaf(queries[q * (WIDTH + 1) + c], keys[lane * (WIDTH + 1) + c], dot);
        const float score = counts ? score_of(rule, dot) : -FLT_MAX;
        const float top = fmaxf(states[q].top, warp_max(score));
        const float weight = counts ? expf(score - top) : 0.0f;
        const float shrink = expf(states[q].top - top);
        states[q].top = top;
        states[q].total = fmaf(states[q].total, shrink, warp_sum(weight));
#pragma unroll
        for (int i = 0; i < WIDTH / WARP; i++) states[q].sums[i] *= shrink;
        weights[q * KEYS + lane] = weight;
    }
}

template <int WIDTH, int N>
static __device__ __forceinline__ void sum_values(query_state<WIDTH> *states, const float *values,
                                                  const float *weights, size_t n_keys)
{
    for (size_t key = 0; key < KEYS && key < n_keys; key++) {
#pragma unroll
        for (int i = 0; i < WIDTH / WARP; i++) {
            const float value = values[key * (WIDTH + 1) + i * WARP + lane_index()];
#pragma unroll
            for (int q = 0; q < N; q++)
                states[q].sums[i] = fmaf(weights[q * KEYS + key], value, states[q].sums[i]);
        }
    }
}

/* z of this warp's queries; 0 at and past the sequence's length. */
template <int WIDTH, int N>
static __device__ __forceinline__ void write_queries(const query_state<WIDTH> *states,
                                                     const attend_params &p, float *z,
                                                     size_t first_query, size_t length)
{
#pragma unroll
    for (int q = 0; q < N; q++) {
        const size_t query = first_query + q;
#pragma unroll
        for (int i = 0; i < WIDTH / WARP; i++) {
            const size_t column = i * WARP + lane_index();
            if (query < p.n_ctx && column < p.d_head)
                z[query * p.n_heads * p.d_head + column] =
                    query < length ? states[q].sums[i] / states[q].total : 0.0f;
        }
    }
}

/* Launch: x tiles of queries, y heads, z sequences. Shared: queries, keys, values, weights. */
template <int WIDTH, int N>
__global__ void __launch_bounds__(BLOCK, 1) attend_kernel(attend_params p, const uint32_t *lengths)
{
    enum { QUERIES = N * WARPS_OF_BLOCK };
    DYNAMIC_SHARED(float, queries);
    float *keys = queries + QUERIES * (WIDTH + 1), *values = keys + KEYS * (WIDTH + 1);
    const unsigned warp = threadIdx.x / WARP;
    float *weights = values + KEYS * (WIDTH + 1) + warp * N * KEYS;
    float *own = queries + warp * N * (WIDTH + 1);
    const size_t head = blockIdx.y, kv = head / (p.n_heads / p.n_kv_heads);
    const size_t first = static_cast<size_t>(blockIdx.x) * QUERIES;
    const size_t first_own = first + warp * N;
    const score_rule rule = {p.window, p.scale, p.soft_cap};
    /* tiles before it are seen by no query of the block */
    const size_t first_seen = p.window && first >= p.window ? first + 1 - p.window : 0;
    for (size_t s = blockIdx.z; s < p.n_sequences; s += gridDim.z) {
        const size_t row = s * p.n_ctx, length = lengths[s];
        query_state<WIDTH> states[N];
#pragma unroll
        for (int q = 0; q < N; q++) {
            states[q].top = -FLT_MAX;
            states[q].total = 0.0f;
#pragma unroll
            for (int i = 0; i < WIDTH / WARP; i++) states[q].sums[i] = 0.0f;
        }
        load_tile<WIDTH, QUERIES>(queries, p.q + row * p.ld + head * p.d_head, p.ld, first, length,
                                  p.d_head);
        for (size_t key = first_seen / KEYS * KEYS; key < first + QUERIES && key < length;
             key += KEYS) {
            load_tile<WIDTH, KEYS>(keys, p.k + row * p.ld + kv * p.d_head, p.ld, key, length,
                                   p.d_head);
            load_tile<WIDTH, KEYS>(values, p.v + row * p.ld + kv * p.d_head, p.ld, key, length,
                                   p.d_head);
            __syncthreads();
            /* keys that this warp's queries see, if it has any */
            const size_t n_keys =
                first_own < length && key < first_own + N ? first_own + N - key : 0;
            if (n_keys > 0) {
                score_tile<WIDTH, N>(states, own, keys, weights, first_own, key, rule);
                __syncwarp();
                sum_values<WIDTH, N>(states, values, weights, n_keys);
            }
            __syncthreads(); /* before the next tile, and the next sequence's queries */
        }
        write_queries<WIDTH, N>(states, p, p.z + row * p.n_heads * p.d_head + head * p.d_head,
                                first_own, length);
        __syncthreads();
    }
}

template <int WIDTH, int N> static size_t shared_bytes()
{
    return ((N * WARPS_OF_BLOCK + 2 * KEYS) * (WIDTH + 1) + N * WARPS_OF_BLOCK * KEYS) *
           sizeof(float);
}

template <int WIDTH, int N>
static cudaError_t launch_width(cudaStream_t stream, const attend_params *p,
                                const uint32_t *lengths)
{
    const dim3 grid(blocks_of_all(p->n_ctx, N * WARPS_OF_BLOCK), static_cast<unsigned>(p->n_heads),
                    blocks_for(p->n_sequences, 1));
    LAUNCH((attend_kernel<WIDTH, N>), grid, BLOCK, (shared_bytes<WIDTH, N>()), stream, *p, lengths);
    return cudaGetLastError();
}

cudaError_t launch_attend(cudaStream_t stream, const attend_params *p, const uint32_t *lengths)
{
    if (p->d_head <= 32) return launch_width<32, 4>(stream, p, lengths);
    if (p->d_head <= 64) return launch_width<64, 4>(stream, p, lengths);
    if (p->d_head <= 128) return launch_width<128, 4>(stream, p, lengths);
    return launch_width<ATTEND_MAX_HEAD, 2>(stream, p, lengths);
}

template <int WIDTH, int N> static cudaError_t allow_shared()
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(attend_kernel<WIDTH, N>),
                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                static_cast<int>(shared_bytes<WIDTH, N>()));
}

cudaError_t launch_prepare(void)
{
    const cudaError_t code = allow_shared<128, 4>();
    return code == cudaSuccess ? allow_shared<ATTEND_MAX_HEAD, 2>() : code;
}
