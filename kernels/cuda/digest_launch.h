/* From C to the kernels of a digest (backend.h), in the order in which they run; like launch.h.
 *
 *   rows of features, token by token
 *     --digest_group.cu-->  how many values each feature has in each window, where its runs of them
 *                           go, and the values there: by feature, window, position
 *     --digest_select.cu--> a warp to a feature: sums, bins, which windows are kept; then what
 *                           comes down of it, side by side
 *
 * No order of blocks or warps changes a bit: counts and sums are whole numbers, places follow from
 * counts, and windows are ranked by keys and numbers that are all different. */
#ifndef KERNELS_CUDA_DIGEST_LAUNCH_H
#define KERNELS_CUDA_DIGEST_LAUNCH_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/backend.h"

#include <cuda_runtime_api.h>

enum { DIGEST_WORDS = 3 }; /* words of a value at most: its value bin, window bin and window */

/* All on the device; [n] with n the values of all rows, of which those in windows are used. */
struct digest_device {
    size_t n_slots, n_windows, n_active_words;
    uint32_t top_k, bin_k;
    const struct digest_window *windows; /* [n_windows] */
    const uint32_t *row_starts;          /* [n_tokens + 1] */
    const struct digest_cut *cuts;       /* [n_slots] or NULL */
    const uint8_t *limits;
    uint32_t *feature; /* [n] the rows */
    float *value;      /* [n] */
    /* [n_slots, n_windows] counts of values, then where runs begin, then where they end */
    uint32_t *ends;
    uint32_t *slot_starts;          /* [n_slots + 1]: in all that is grouped by slot */
    float *grouped_value;           /* [n] */
    uint16_t *grouped_position;     /* [n] */
    unsigned long long *key;        /* [n] of a slot's candidates, from slot_starts on */
    uint32_t *max_bits, *candidate; /* [n] their maxima; their windows, DIGEST_KEPT set if kept */
    uint32_t *staged;               /* [DIGEST_WORDS n], from DIGEST_WORDS slot_starts on */
    /* what comes down */
    struct digest_slot *slots; /* [n_slots] */
    uint32_t *active;          /* [n_slots, n_active_words] */
    uint32_t *word_starts;     /* [n_slots + 1] counts, then where a slot's words begin */
    uint32_t *pair_starts;     /* [n_slots + 1] likewise */
    uint32_t *words;           /* where keys, maxima and candidates were */
    uint16_t *positions;       /* where features of rows were */
    float *values;             /* where values of rows were */
};

/* ends, zeroed: how many values each slot has in each window. */
cudaError_t launch_digest_count(cudaStream_t stream, const struct digest_device *d);
/* slot_starts [n_slots]: how many values each slot has. */
cudaError_t launch_digest_total(cudaStream_t stream, const struct digest_device *d);
/* ends: counts become where runs begin; slot_starts is done. */
cudaError_t launch_digest_place(cudaStream_t stream, const struct digest_device *d);
/* The values to where they go; ends are then what they are called. */
cudaError_t launch_digest_group(cudaStream_t stream, const struct digest_device *d);
/* slots, active, staged; word_starts and pair_starts [n_slots]: how many. */
cudaError_t launch_digest_select(cudaStream_t stream, const struct digest_device *d);
/* words, positions, values; word_starts and pair_starts are done. */
cudaError_t launch_digest_pack(cudaStream_t stream, const struct digest_device *d);

#ifdef __cplusplus
}
#endif

#endif
