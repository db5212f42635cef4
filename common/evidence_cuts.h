/* The cut-offs of one slot, laid open for whoever asks about many windows of it: a worker's host,
 * and its device. Made by evidence_thresholds_cuts(). */
#ifndef COMMON_EVIDENCE_CUTS_H
#define COMMON_EVIDENCE_CUTS_H

#include "common/evidence_bins.h"
#include "common/host_device.h"

#include <stdbool.h>
#include <stdint.h>

struct evidence_cuts {
    uint32_t top_bits;  /* a maximum of at least these float bits can enter the top */
    uint32_t first_bin; /* only bins [first_bin, first_bin + n_bins) have a limit */
    uint32_t n_bins;
    const uint8_t *bin_limit;                        /* [n_bins] codes, the thresholds' */
    bool has_samples;                                /* bins hold windows at all */
    uint64_t silent, near_miss, neighbour, document; /* largest keys that can enter */
};

/* Largest key of a bin limit's code (3 bits below the leading one, octaves 32 to 63). */
static HOST_DEVICE inline uint64_t evidence_bin_limit_end(uint8_t code)
{
    return ((UINT64_C(9) + (code & 7u)) << (29u + (code >> 3))) - 1u; /* 255: 2^64 - 1 */
}

/* Could a firing window of this maximum, reservoir bin and key enter the slot's top or bin? */
static HOST_DEVICE inline bool evidence_cuts_keep(const struct evidence_cuts *cuts, float max_value,
                                                  uint32_t bin, uint64_t key)
{
    if (evidence_float_bits(max_value) >= cuts->top_bits) return true;
    if (!cuts->has_samples) return false;
    if (bin - cuts->first_bin >= cuts->n_bins) return true; /* also a bin below the first */
    return key <= evidence_bin_limit_end(cuts->bin_limit[bin - cuts->first_bin]);
}

#endif
