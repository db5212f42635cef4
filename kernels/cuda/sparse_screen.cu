/* From products to candidates: which pairs of token and feature could matter.
 *
 * A pair is skipped only if its bound is certainly not above what matters, so a product or a bound
 * that is no number makes a candidate. */
#include "kernels/cuda/select.cuh"
#include "kernels/cuda/sparse_launch.h"

/* How far the exact value may lie from product * factor + offset. */
static __device__ __forceinline__ float spread_of(const sparse_device &s,
                                                  const sparse_tokens &tokens, size_t t, size_t f)
{
    return fmaf(s.norm[f], tokens.residual[t], s.residual[f] * tokens.norm[t]);
}

/* A block to a token: bits of positive floats are in the floats' order. */
__global__ void __launch_bounds__(BLOCK)
    sparse_least_kernel(sparse_device s, sparse_tokens tokens, const float *product, size_t k)
{
    SHARED_ARRAY(selection, shared, [1]);
    for (size_t t = blockIdx.x; t < tokens.n_tokens; t += gridDim.x) {
        const float *row = product + t * s.n_features;
        const auto key = [&](size_t f) -> unsigned long long {
            const float middle = fmaf(row[f], s.factor[f], s.offset[f]);
            const float lower = middle - 2.0f * s.slack[f] - spread_of(s, tokens, t, f);
            const bool counts = lower > 0.0f && lower <= 3.402823466e38f;
            return counts ? __float_as_uint(lower) : 0u;
        };
        const unsigned long long found = kth_largest(shared, s.n_features, k, 32, key);
        if (threadIdx.x == 0) tokens.least[t] = __uint_as_float(static_cast<unsigned>(found));
    }
}

cudaError_t launch_sparse_least(cudaStream_t stream, const sparse_device *s,
                                const sparse_tokens *tokens, const float *product, size_t k)
{
    LAUNCH(sparse_least_kernel, blocks_for(tokens->n_tokens, 1), BLOCK, 0, stream, *s, *tokens,
           product, k);
    return cudaGetLastError();
}

static __device__ __forceinline__ bool could_fire(const sparse_device &s,
                                                  const sparse_tokens &tokens, float product,
                                                  size_t t, size_t f)
{
    const float upper = fmaf(product, s.factor[f], s.offset[f]) + spread_of(s, tokens, t, f);
    const bool is_number = fabsf(product) <= 3.402823466e38f;
    return !(is_number && (upper <= 0.0f || upper < tokens.least[t]));
}

/* A warp to a mask word: lane j looks at feature j of it. blockIdx.y: tokens. */
__global__ void __launch_bounds__(BLOCK)
    sparse_scan_kernel(sparse_device s, sparse_tokens tokens, const float *product,
                       const uint32_t *wanted, uint32_t *masks, uint32_t *counts)
{
    const size_t f = static_cast<size_t>(blockIdx.x) * BLOCK + threadIdx.x, word = f / SPARSE_WORD;
    if (word >= s.n_words) return; /* whole warps */
    for (size_t t = blockIdx.y; t < tokens.n_tokens; t += gridDim.y) {
        bool is_candidate = f < s.n_features;
        if (is_candidate && product)
            is_candidate = could_fire(s, tokens, product[t * s.n_features + f], t, f);
        uint32_t mask = __ballot_sync(ALL_LANES, is_candidate);
        if (wanted) mask &= wanted[word];
        if (lane_index() != 0) continue;
        masks[t * s.n_words + word] = mask;
        if (mask) (void)atomicAdd(&counts[t], static_cast<uint32_t>(__popc(mask)));
    }
}

cudaError_t launch_sparse_scan(cudaStream_t stream, const sparse_device *s,
                               const sparse_tokens *tokens, const float *product,
                               const uint32_t *wanted, uint32_t *masks, uint32_t *counts)
{
    LAUNCH(sparse_scan_kernel, grid_of_rows(tokens->n_tokens, s->n_words * SPARSE_WORD), BLOCK, 0,
           stream, *s, *tokens, product, wanted, masks, counts);
    return cudaGetLastError();
}

/* A warp to a token: lane j writes feature j of each word, at its place among the set bits. */
__global__ void __launch_bounds__(BLOCK)
    sparse_fill_kernel(const uint32_t *masks, size_t n_words, size_t first, size_t n_tokens,
                       const uint32_t *starts, sparse_candidates out)
{
    const unsigned lane = lane_index();
    for (size_t t = warp_index(); t < n_tokens; t += n_warps()) {
        size_t at = starts[t];
        for (size_t word = 0; word < n_words; word++) {
            const uint32_t mask = masks[(first + t) * n_words + word];
            if (mask >> lane & 1u) {
                const size_t to = at + static_cast<size_t>(__popc(mask & ((1u << lane) - 1u)));
                out.token[to] = static_cast<uint32_t>(first + t);
                out.feature[to] = static_cast<uint32_t>(word * SPARSE_WORD + lane);
            }
            at += static_cast<size_t>(__popc(mask));
        }
    }
}

cudaError_t launch_sparse_fill(cudaStream_t stream, const uint32_t *masks, size_t n_words,
                               size_t first, size_t n_tokens, const uint32_t *starts,
                               const sparse_candidates *out)
{
    LAUNCH(sparse_fill_kernel, blocks_for(n_tokens, WARPS_OF_BLOCK), BLOCK, 0, stream, masks,
           n_words, first, n_tokens, starts, *out);
    return cudaGetLastError();
}
