/* From candidates to rows: those that fire, counted and put side by side, token by token and
 * features ascending, so that nothing else goes to the host. Where an entry goes follows from
 * counts and ballots alone: the same bytes whatever block or warp comes first.
 * Oracle: the rows of kernels/cpu/sparse_refine.c. */
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/sparse_launch.h"

static __device__ __forceinline__ bool is_firing(const sparse_candidates &c, const uint32_t *wanted,
                                                 size_t i)
{
    if (c.value[i] == 0.0f) return false;
    return !wanted || (wanted[c.feature[i] / SPARSE_WORD] >> c.feature[i] % SPARSE_WORD & 1u);
}

/* A warp to a token. */
__global__ void __launch_bounds__(BLOCK)
    sparse_count_kernel(const uint32_t *starts, size_t n_tokens, const uint32_t *wanted,
                        sparse_candidates candidates, uint32_t *row_starts)
{
    for (size_t t = warp_index(); t < n_tokens; t += n_warps()) {
        const size_t end = starts[t + 1];
        uint32_t n = 0;
        for (size_t first = starts[t]; first < end; first += WARP) {
            const size_t i = first + lane_index();
            const bool fires = i < end && is_firing(candidates, wanted, i);
            n += static_cast<uint32_t>(__popc(__ballot_sync(ALL_LANES, fires)));
        }
        if (lane_index() == 0) row_starts[t] = n;
    }
}

/* One block, in place: counts become sums of those before, and behind the last one the sum of all.
 * A thread adds up a stretch of its own; the stretches' sums meet in shared memory. */
__global__ void __launch_bounds__(BLOCK) sparse_starts_kernel(uint32_t *row_starts, size_t n_tokens)
{
    SHARED_ARRAY(uint32_t, sums, [BLOCK]);
    const size_t n_own = (n_tokens + BLOCK - 1) / BLOCK, first = threadIdx.x * n_own;
    const size_t end = first + n_own < n_tokens ? first + n_own : n_tokens;
    uint32_t own = 0;
    for (size_t t = first; t < end; t++) own += row_starts[t];
    sums[threadIdx.x] = own;
    for (unsigned step = 1; step < BLOCK; step *= 2) {
        __syncthreads();
        const uint32_t before = threadIdx.x >= step ? sums[threadIdx.x - step] : 0;
        __syncthreads();
        sums[threadIdx.x] += before;
    }
    uint32_t at = sums[threadIdx.x] - own;
    for (size_t t = first; t < end; t++) {
        const uint32_t n = row_starts[t];
        row_starts[t] = at;
        at += n;
    }
    if (threadIdx.x == BLOCK - 1) row_starts[n_tokens] = at;
}

/* A warp to a token; an entry goes behind those of lower lanes. */
__global__ void __launch_bounds__(BLOCK)
    sparse_pack_kernel(const uint32_t *starts, size_t n_tokens, const uint32_t *wanted,
                       sparse_candidates candidates, const uint32_t *row_starts, sparse_entries out)
{
    const unsigned lower = (1u << lane_index()) - 1u;
    for (size_t t = warp_index(); t < n_tokens; t += n_warps()) {
        const size_t end = starts[t + 1];
        size_t at = row_starts[t];
        for (size_t first = starts[t]; first < end; first += WARP) {
            const size_t i = first + lane_index();
            const bool fires = i < end && is_firing(candidates, wanted, i);
            const unsigned mask = __ballot_sync(ALL_LANES, fires);
            if (fires) {
                const size_t to = at + static_cast<size_t>(__popc(mask & lower));
                out.feature[to] = candidates.feature[i];
                out.value[to] = candidates.value[i];
            }
            at += static_cast<size_t>(__popc(mask));
        }
    }
}

cudaError_t launch_sparse_count(cudaStream_t stream, const uint32_t *starts, size_t n_tokens,
                                const uint32_t *wanted, const sparse_candidates *candidates,
                                uint32_t *row_starts)
{
    LAUNCH(sparse_count_kernel, blocks_for(n_tokens, WARPS_OF_BLOCK), BLOCK, 0, stream, starts,
           n_tokens, wanted, *candidates, row_starts);
    return cudaGetLastError();
}

cudaError_t launch_sparse_starts(cudaStream_t stream, uint32_t *row_starts, size_t n_tokens)
{
    LAUNCH(sparse_starts_kernel, 1, BLOCK, 0, stream, row_starts, n_tokens);
    return cudaGetLastError();
}

cudaError_t launch_sparse_pack(cudaStream_t stream, const uint32_t *starts, size_t n_tokens,
                               const uint32_t *wanted, const sparse_candidates *candidates,
                               const uint32_t *row_starts, const sparse_entries *out)
{
    LAUNCH(sparse_pack_kernel, blocks_for(n_tokens, WARPS_OF_BLOCK), BLOCK, 0, stream, starts,
           n_tokens, wanted, *candidates, row_starts, *out);
    return cudaGetLastError();
}
