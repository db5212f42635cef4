/* Rows taken into the tally of backend.h: how often each feature fires, and the largest of its
 * values with their tokens. Counts are whole numbers and keys are all different, so what is there
 * in the end does not depend on who comes first. Oracle: kernels/cpu/sparse_tally.c, the same
 * bits. */
#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/sparse_launch.h"

/* The least of k keys gives way to a larger one. Keys only rise: a least that was read is never
 * above the real one, and an exchange succeeds only where it still is the least. */
static __device__ __forceinline__ void offer(unsigned long long *top, size_t k,
                                             unsigned long long key)
{
    for (;;) {
        unsigned long long lowest = load_now(top);
        size_t least = 0;
        for (size_t i = 1; i < k; i++) {
            const unsigned long long other = load_now(top + i);
            if (other >= lowest) continue;
            lowest = other;
            least = i;
        }
        if (key <= lowest || atomicCAS(top + least, lowest, key) == lowest) return;
    }
}

/* A warp to a token, a lane to an entry of its row. */
__global__ void __launch_bounds__(BLOCK)
    sparse_tally_kernel(const uint32_t *row_starts, size_t n_tokens, sparse_entries entries,
                        uint32_t first_token, sparse_tally_device tally)
{
    for (size_t t = warp_index(); t < n_tokens; t += n_warps()) {
        const uint32_t token = first_token + static_cast<uint32_t>(t);
        for (size_t i = row_starts[t] + lane_index(); i < row_starts[t + 1]; i += WARP) {
            const size_t f = entries.feature[i];
            const unsigned long long value = __float_as_uint(entries.value[i]);
            (void)atomicAdd(&tally.n_fired[f], 1ULL);
            offer(tally.top + f * tally.k, tally.k, value << 32 | ~token);
        }
    }
}

cudaError_t launch_sparse_tally(cudaStream_t stream, const uint32_t *row_starts, size_t n_tokens,
                                const sparse_entries *entries, uint32_t first_token,
                                const sparse_tally_device *tally)
{
    LAUNCH(sparse_tally_kernel, blocks_for(n_tokens, WARPS_OF_BLOCK), BLOCK, 0, stream, row_starts,
           n_tokens, *entries, first_token, *tally);
    return cudaGetLastError();
}
