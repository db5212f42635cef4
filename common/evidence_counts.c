#include "common/evidence_counts.h"

#include <stdlib.h>
#include <string.h>

void evidence_counts_fini(struct evidence_counts *counts)
{
    free(counts->count);
    *counts = (struct evidence_counts){0};
}

/* Make the stored range cover [first, end). */
static status_t cover(struct evidence_counts *counts, uint32_t first, uint32_t end,
                      struct error *err)
{
    const uint32_t old_end = (uint32_t)counts->first_bin + counts->n_bins;
    if (counts->n_bins > 0) {
        if (first >= counts->first_bin && end <= old_end) return ST_OK;
        if (first > counts->first_bin) first = counts->first_bin;
        if (end < old_end) end = old_end;
    }
    uint32_t *grown = calloc(end - first, sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "histogram of %u bins", end - first);
    if (counts->n_bins > 0)
        memcpy(grown + (counts->first_bin - first), counts->count, counts->n_bins * sizeof *grown);
    free(counts->count);
    *counts = (struct evidence_counts){grown, (uint16_t)first, (uint16_t)(end - first)};
    return ST_OK;
}

status_t evidence_counts_add(struct evidence_counts *counts, const uint16_t *bins,
                             const uint32_t *n_in_bin, size_t n, struct error *err)
{
    if (n == 0) return ST_OK;
    const status_t status = cover(counts, bins[0], bins[n - 1] + 1u, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n; i++) counts->count[bins[i] - counts->first_bin] += n_in_bin[i];
    return ST_OK;
}

uint32_t evidence_counts_at(const struct evidence_counts *counts, uint32_t bin)
{
    if (bin < counts->first_bin || bin - counts->first_bin >= counts->n_bins) return 0;
    return counts->count[bin - counts->first_bin];
}

uint64_t evidence_counts_from(const struct evidence_counts *counts, uint32_t first_bin)
{
    uint64_t total = 0;
    const uint32_t start = first_bin > counts->first_bin ? first_bin - counts->first_bin : 0;
    for (uint32_t i = start; i < counts->n_bins; i++) total += counts->count[i];
    return total;
}
