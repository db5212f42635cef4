/* Of a feature's values, grouped by window: sums, bins and the windows that are kept; then all that
 * comes down, side by side. A warp to a feature. Oracle: kernels/selftest/reference_digest.c, the
 * same bits. */
#include "kernels/cuda/digest_launch.h"
#include "kernels/cuda/grid.cuh"

extern "C" {
#include "common/evidence_bins.h"
#include "common/evidence_cuts.h"
#include "common/evidence_key.h"
#include "common/evidence_sum.h"
}

static const uint32_t KEPT = 1u << 31; /* of a candidate; the other bits are its window */

/* Bins of a warp's slot. */
struct slot_bins {
    uint32_t values[EVIDENCE_VALUE_BINS], windows[EVIDENCE_RESERVOIR_BINS];
};

/* Some values of a slot, from `begin` to `end` of all that are grouped. */
struct stretch {
    size_t begin, end;
};

static __device__ __forceinline__ stretch stretch_of_slot(const digest_device &d, size_t slot)
{
    return {d.slot_starts[slot], d.slot_starts[slot + 1]};
}

static __device__ __forceinline__ size_t begin_of_run(const digest_device &d, size_t slot,
                                                      size_t window)
{
    return window ? d.ends[slot * d.n_windows + window - 1] : d.slot_starts[slot];
}

static __device__ __forceinline__ stretch stretch_of_run(const digest_device &d, size_t slot,
                                                         size_t window)
{
    return {begin_of_run(d, slot, window), d.ends[slot * d.n_windows + window]};
}

static __device__ __forceinline__ unsigned lower_lanes()
{
    return (1u << lane_index()) - 1u;
}

/* Sum, largest value and value bins. */
static __device__ __forceinline__ void read_values(const digest_device &d, stretch values,
                                                   slot_bins *bins, digest_slot *slot)
{
    unsigned long long sum = 0;
    float largest = 0.0f;
    for (size_t i = values.begin + lane_index(); i < values.end; i += WARP) {
        const float value = d.grouped_value[i];
        (void)atomicAdd(&bins->values[evidence_value_bin(value)], 1u);
        sum = evidence_sum_add(sum, evidence_sum_of(value));
        largest = fmaxf(largest, value);
    }
    for (int flip = WARP / 2; flip > 0; flip /= 2)
        sum = evidence_sum_add(sum, __shfl_xor_sync(ALL_LANES, sum, flip));
    slot->sum_fixed = sum;
    slot->max_value = warp_max(largest);
}

static __device__ __forceinline__ float run_max(const digest_device &d, stretch run)
{
    float largest = 0.0f;
    for (size_t i = run.begin; i < run.end; i++) largest = fmaxf(largest, d.grouped_value[i]);
    return largest;
}

static __device__ __forceinline__ bool can_enter(const digest_device &d, size_t slot,
                                                 float max_value, unsigned long long key)
{
    if (!d.cuts) return true;
    const digest_cut cut = d.cuts[slot];
    evidence_cuts cuts = {};
    cuts.top_bits = cut.top_bits;
    cuts.first_bin = cut.first_bin;
    cuts.n_bins = cut.n_bins;
    cuts.bin_limit = d.limits + cut.first_limit;
    cuts.has_samples = d.bin_k > 0;
    return evidence_cuts_keep(&cuts, max_value, evidence_reservoir_bin(max_value), key);
}

/* Active windows, a lane to each; their bins; and those that can enter, as candidates in their
 * order. Returns how many. */
static __device__ __forceinline__ uint32_t list_candidates(const digest_device &d, size_t slot,
                                                           slot_bins *bins)
{
    const size_t base = d.slot_starts[slot];
    uint32_t n = 0;
    for (size_t first = 0; first < d.n_windows; first += WARP) {
        const size_t w = first + lane_index();
        const bool is_there = w < d.n_windows;
        const stretch run = is_there ? stretch_of_run(d, slot, w) : stretch{0, 0};
        const bool is_active = run.begin < run.end;
        const bool is_counted = is_active && d.windows[w].may_be_kept;
        const float max_value = is_counted ? run_max(d, run) : 0.0f;
        unsigned long long key = 0;
        if (is_counted) {
            (void)atomicAdd(&bins->windows[evidence_reservoir_bin(max_value)], 1u);
            key = evidence_key(d.windows[w].number, evidence_slot_number((uint32_t)slot));
        }
        const bool is_candidate = is_counted && can_enter(d, slot, max_value, key);
        const unsigned active = __ballot_sync(ALL_LANES, is_active);
        const unsigned candidates = __ballot_sync(ALL_LANES, is_candidate);
        if (lane_index() == 0) d.active[slot * d.n_active_words + first / WARP] = active;
        if (is_candidate) {
            const size_t at = base + n + static_cast<size_t>(__popc(candidates & lower_lanes()));
            d.key[at] = key;
            d.max_bits[at] = evidence_float_bits(max_value);
            d.candidate[at] = static_cast<uint32_t>(w);
        }
        n += static_cast<uint32_t>(__popc(candidates));
    }
    return n;
}

static __device__ __forceinline__ uint32_t bin_of_bits(uint32_t bits)
{
    return evidence_reservoir_bin(__uint_as_float(bits));
}

/* Mark those that are kept: a candidate's ranks are how many others come before it. */
static __device__ __forceinline__ void choose(const digest_device &d, size_t base, uint32_t n)
{
    const unsigned long long *keys = d.key + base;
    const uint32_t *maxima = d.max_bits + base;
    for (uint32_t i = lane_index(); i < n; i += WARP) {
        const unsigned long long key = keys[i];
        const uint32_t bits = maxima[i], bin = bin_of_bits(bits);
        uint32_t in_top = 0, in_bin = 0;
        for (uint32_t j = 0; j < n; j++) {
            const uint32_t other = maxima[j];
            const bool is_before = keys[j] < key || (keys[j] == key && j < i);
            in_top += other > bits || (other == bits && is_before);
            in_bin += is_before && bin_of_bits(other) == bin;
        }
        if (in_top < d.top_k || in_bin < d.bin_k) d.candidate[base + i] |= KEPT;
    }
}

/* Bins that have any, as words. Returns how many. */
static __device__ __forceinline__ uint16_t stage_bins(uint32_t *words, const uint32_t *bins,
                                                      uint32_t n_bins)
{
    uint32_t n = 0;
    for (uint32_t first = 0; first < n_bins; first += WARP) {
        const uint32_t bin = first + lane_index(), count = bins[bin];
        const unsigned mask = __ballot_sync(ALL_LANES, count > 0);
        if (count)
            words[n + static_cast<uint32_t>(__popc(mask & lower_lanes()))] =
                bin << DIGEST_BIN_SHIFT | count;
        n += static_cast<uint32_t>(__popc(mask));
    }
    return static_cast<uint16_t>(n);
}

/* Kept windows of n candidates as words. */
static __device__ __forceinline__ void stage_kept(const digest_device &d, size_t s, uint32_t n,
                                                  uint32_t *words, digest_slot *slot)
{
    const uint32_t *candidates = d.candidate + d.slot_starts[s];
    uint32_t n_kept = 0, n_pairs = 0;
    for (uint32_t first = 0; first < n; first += WARP) {
        const uint32_t i = first + lane_index();
        const uint32_t candidate = i < n ? candidates[i] : 0;
        const bool is_kept = candidate & KEPT;
        const unsigned mask = __ballot_sync(ALL_LANES, is_kept);
        if (is_kept) {
            const uint32_t window = candidate & ~KEPT;
            const stretch run = stretch_of_run(d, s, window);
            const uint32_t n_values = static_cast<uint32_t>(run.end - run.begin);
            words[n_kept + static_cast<uint32_t>(__popc(mask & lower_lanes()))] =
                window << DIGEST_WINDOW_SHIFT | n_values;
            n_pairs += n_values;
        }
        n_kept += static_cast<uint32_t>(__popc(mask));
    }
    slot->n_kept = static_cast<uint16_t>(n_kept);
    slot->n_pairs = warp_count(n_pairs);
}

static __device__ __forceinline__ void digest_one_slot(const digest_device &d, size_t s,
                                                       slot_bins *bins)
{
    const stretch values = stretch_of_slot(d, s);
    uint32_t *words = d.staged + DIGEST_WORDS * values.begin;
    digest_slot slot = {};
    for (unsigned i = lane_index(); i < EVIDENCE_VALUE_BINS; i += WARP) bins->values[i] = 0;
    for (unsigned i = lane_index(); i < EVIDENCE_RESERVOIR_BINS; i += WARP) bins->windows[i] = 0;
    __syncwarp();
    read_values(d, values, bins, &slot);
    const uint32_t n = list_candidates(d, s, bins);
    __syncwarp();
    choose(d, values.begin, n);
    __syncwarp();
    slot.n_value_bins = stage_bins(words, bins->values, EVIDENCE_VALUE_BINS);
    words += slot.n_value_bins;
    slot.n_window_bins = stage_bins(words, bins->windows, EVIDENCE_RESERVOIR_BINS);
    words += slot.n_window_bins;
    stage_kept(d, s, n, words, &slot);
    if (lane_index() == 0) {
        d.slots[s] = slot;
        d.word_starts[s] =
            static_cast<uint32_t>(slot.n_value_bins + slot.n_window_bins + slot.n_kept);
        d.pair_starts[s] = slot.n_pairs;
    }
    __syncwarp(); /* bins are the next slot's */
}

__global__ void __launch_bounds__(BLOCK) digest_select_kernel(digest_device d)
{
    SHARED_ARRAY(slot_bins, bins, [WARPS_OF_BLOCK]);
    for (size_t s = warp_index(); s < d.n_slots; s += n_warps())
        digest_one_slot(d, s, &bins[threadIdx.x / WARP]);
}

__global__ void __launch_bounds__(BLOCK) digest_pack_kernel(digest_device d)
{
    for (size_t s = warp_index(); s < d.n_slots; s += n_warps()) {
        const uint32_t *staged = d.staged + DIGEST_WORDS * static_cast<size_t>(d.slot_starts[s]);
        const size_t first = d.word_starts[s], n = d.word_starts[s + 1] - first;
        for (size_t i = lane_index(); i < n; i += WARP) d.words[first + i] = staged[i];
        size_t at = d.pair_starts[s];
        for (size_t i = n - d.slots[s].n_kept; i < n; i++) {
            const size_t from = begin_of_run(d, s, staged[i] >> DIGEST_WINDOW_SHIFT);
            const size_t n_values = staged[i] & ((1u << DIGEST_WINDOW_SHIFT) - 1u);
            for (size_t j = lane_index(); j < n_values; j += WARP) {
                d.positions[at + j] = d.grouped_position[from + j];
                d.values[at + j] = d.grouped_value[from + j];
            }
            at += n_values;
        }
    }
}

cudaError_t launch_digest_select(cudaStream_t stream, const digest_device *d)
{
    LAUNCH(digest_select_kernel, blocks_for(d->n_slots, WARPS_OF_BLOCK), BLOCK, 0, stream, *d);
    return cudaGetLastError();
}

cudaError_t launch_digest_pack(cudaStream_t stream, const digest_device *d)
{
    LAUNCH(digest_pack_kernel, blocks_for(d->n_slots, WARPS_OF_BLOCK), BLOCK, 0, stream, *d);
    return cudaGetLastError();
}
