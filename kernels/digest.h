/* The digest of a unit: what evidence (common/evidence.h) asks of a unit's encoded tokens, made
 * where they are encoded, so that rows stay there. A unit's tokens lie in windows, which are in the
 * order of its documents; of each feature, of its values within windows:
 *   sum, largest value       evidence_sum_add() of evidence_sum_of()
 *   value bins               how many values, by evidence_value_bin()
 *   active windows           those with a value; the largest is the window's maximum
 *   window bins              how many active windows that may be kept, by evidence_reservoir_bin()
 *                            of the maximum
 *   kept windows             of active ones that may be kept and that evidence_cuts_keep() passes:
 *                            the top_k of largest maximum (of equal ones those of smallest key) and
 *                            in every reservoir bin the bin_k of smallest key; of equal keys the
 *                            earlier window
 *   their values             by window, then by position in it
 * with keys evidence_key(window number, evidence_slot_number(feature)). A function of rows and
 * parameters alone, the same bits on every device. */
#ifndef KERNELS_DIGEST_H
#define KERNELS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_MAX_WINDOWS = 4096, DIGEST_MAX_POSITIONS = 1024, DIGEST_MAX_TOKENS = 1 << 20 };
/* Where a bin or a window begins in a word of a digest; below it is how many values. */
enum { DIGEST_BIN_SHIFT = 24, DIGEST_WINDOW_SHIFT = 16 };

struct digest_window {
    uint64_t number;      /* evidence_window_number() */
    uint32_t first_token; /* of n_tokens that follow each other, in no other window */
    uint16_t n_tokens;    /* 1 to DIGEST_MAX_POSITIONS */
    uint16_t may_be_kept; /* 0: too short, merely active */
};

/* evidence_thresholds_cuts() of a feature. */
struct digest_cut {
    uint32_t top_bits;
    uint32_t first_limit; /* limits[first_limit .. + n_bins) are those of bins from first_bin on */
    uint16_t first_bin, n_bins;
};
struct digest_cuts {
    uint64_t number;              /* not 0. Cuts of the encoder's last number are not read again */
    const struct digest_cut *cut; /* host [n_features] */
    const uint8_t *limits;        /* host [n_limits], evidence_bin_limit_end()'s codes */
    size_t n_limits;              /* at most EVIDENCE_RESERVOIR_BINS a feature */
};

struct digest_params {
    const float *x; /* device [n_tokens, n_in] */
    size_t n_tokens;
    const struct digest_window *windows; /* host [n_windows] */
    size_t n_windows;
    size_t room_windows; /* at least n_windows: memory is taken for that many */
    uint32_t top_k, bin_k;
    const struct digest_cuts *cuts; /* NULL: everything can enter */
};

struct digest_slot {
    uint64_t sum_fixed;
    float max_value;  /* 0 without values */
    uint32_t n_pairs; /* values of its kept windows */
    uint16_t n_value_bins, n_window_bins, n_kept, unused;
};

struct digest {
    bool is_over; /* there are more values than have room: nothing below; encode the rows */
    size_t n_slots, n_active_words;
    const struct digest_slot *slots; /* [n_slots] */
    const uint32_t *active;          /* [n_slots, n_active_words]: bit w of window w */
    /* Slot by slot: its value bins, then its window bins (bin << DIGEST_BIN_SHIFT | how many), both
     * ascending; then its kept windows (window << DIGEST_WINDOW_SHIFT | values), ascending too */
    const uint32_t *words;
    const uint16_t *positions; /* slot by slot, [n_pairs]: within the window */
    const float *values;       /* likewise */
};

/* How large one is at most. */
struct digest_shape {
    size_t n_features, n_tokens, n_windows;
};

#endif
