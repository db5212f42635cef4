/* A counting sort of a unit's values: by feature, window and position in it. Oracle: the values of
 * kernels/selftest/reference_digest.c, the same bits. */
#include "kernels/cuda/digest_launch.h"
#include "kernels/cuda/grid.cuh"

/* A block to a window, a thread to a value. Its column of `ends` is no other block's; within it
 * whole numbers are added, in any order. */
__global__ void __launch_bounds__(BLOCK) digest_count_kernel(digest_device d)
{
    for (size_t w = blockIdx.x; w < d.n_windows; w += gridDim.x) {
        const size_t first = d.windows[w].first_token;
        const size_t end = d.row_starts[first + d.windows[w].n_tokens];
        for (size_t i = d.row_starts[first] + threadIdx.x; i < end; i += BLOCK)
            (void)atomicAdd(&d.ends[d.feature[i] * d.n_windows + w], 1u);
    }
}

/* A warp to a slot. */
__global__ void __launch_bounds__(BLOCK) digest_total_kernel(digest_device d)
{
    for (size_t s = warp_index(); s < d.n_slots; s += n_warps()) {
        const uint32_t *counts = d.ends + s * d.n_windows;
        uint32_t n = 0;
        for (size_t w = lane_index(); w < d.n_windows; w += WARP) n += counts[w];
        n = warp_count(n);
        if (lane_index() == 0) d.slot_starts[s] = n;
    }
}

/* A warp to a slot, in place: 32 counts at a time become sums of those before. */
__global__ void __launch_bounds__(BLOCK) digest_place_kernel(digest_device d)
{
    for (size_t s = warp_index(); s < d.n_slots; s += n_warps()) {
        uint32_t *counts = d.ends + s * d.n_windows;
        uint32_t before = d.slot_starts[s];
        for (size_t first = 0; first < d.n_windows; first += WARP) {
            const size_t w = first + lane_index();
            const uint32_t n = w < d.n_windows ? counts[w] : 0;
            uint32_t sum = n;
            for (unsigned step = 1; step < WARP; step *= 2) {
                const uint32_t lower = __shfl_up_sync(ALL_LANES, sum, step);
                if (lane_index() >= step) sum += lower;
            }
            if (w < d.n_windows) counts[w] = before + sum - n;
            before += __shfl_sync(ALL_LANES, sum, WARP - 1);
        }
    }
}

/* A warp to a window, token after token: positions of a run ascend. A token has a slot once, so no
 * two lanes meet; what a token left in `ends` is there for the next. */
__global__ void __launch_bounds__(BLOCK) digest_group_kernel(digest_device d)
{
    for (size_t w = warp_index(); w < d.n_windows; w += n_warps()) {
        const digest_window window = d.windows[w];
        const uint32_t *row_starts = d.row_starts + window.first_token;
        uint32_t begin = row_starts[0];
        for (uint32_t position = 0; position < window.n_tokens; position++) {
            const uint32_t end = row_starts[position + 1];
            for (size_t i = begin + lane_index(); i < end; i += WARP) {
                uint32_t *next = &d.ends[d.feature[i] * d.n_windows + w];
                const uint32_t at = *next;
                *next = at + 1;
                d.grouped_value[at] = d.value[i];
                d.grouped_position[at] = static_cast<uint16_t>(position);
            }
            begin = end;
            __syncwarp();
        }
    }
}

cudaError_t launch_digest_count(cudaStream_t stream, const digest_device *d)
{
    LAUNCH(digest_count_kernel, blocks_for(d->n_windows, 1), BLOCK, 0, stream, *d);
    return cudaGetLastError();
}

cudaError_t launch_digest_total(cudaStream_t stream, const digest_device *d)
{
    LAUNCH(digest_total_kernel, blocks_for(d->n_slots, WARPS_OF_BLOCK), BLOCK, 0, stream, *d);
    return cudaGetLastError();
}

cudaError_t launch_digest_place(cudaStream_t stream, const digest_device *d)
{
    LAUNCH(digest_place_kernel, blocks_for(d->n_slots, WARPS_OF_BLOCK), BLOCK, 0, stream, *d);
    return cudaGetLastError();
}

cudaError_t launch_digest_group(cudaStream_t stream, const digest_device *d)
{
    LAUNCH(digest_group_kernel, blocks_for(d->n_windows, WARPS_OF_BLOCK), BLOCK, 0, stream, *d);
    return cudaGetLastError();
}
