/* A histogram that stores only the range of bins between its first and last populated one.
 * Exact: an addition that would pass 2^32 - 1 is refused by the state before (it caps tokens). */
#ifndef COMMON_EVIDENCE_COUNTS_H
#define COMMON_EVIDENCE_COUNTS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evidence_counts {
    uint32_t *count; /* [n_bins], owned; of bins first_bin, first_bin + 1, ... */
    uint16_t first_bin;
    uint16_t n_bins;
};

void evidence_counts_fini(struct evidence_counts *counts);

/* Add the n given (bin, count) pairs, bins ascending. Errors: ST_NO_MEMORY, unchanged. */
MUST_CHECK status_t evidence_counts_add(struct evidence_counts *counts, const uint16_t *bins,
                                        const uint32_t *n_in_bin, size_t n, struct error *err);

uint32_t evidence_counts_at(const struct evidence_counts *counts, uint32_t bin);
/* Sum over bins >= first_bin. */
uint64_t evidence_counts_from(const struct evidence_counts *counts, uint32_t first_bin);
static inline uint64_t evidence_counts_total(const struct evidence_counts *counts)
{
    return evidence_counts_from(counts, 0);
}

#endif
