/* A histogram of one slot while it is being counted; taken, it is empty for the next. Which bins
 * are populated is known by fours, so that taking looks at few and branches on none of them. */
#ifndef WORKER_TASKS_CAPTURE_TALLY_H
#define WORKER_TASKS_CAPTURE_TALLY_H

#include "common/evidence_record.h"

#include <stdint.h>

enum { CAPTURE_TALLY_GROUP = EVIDENCE_VALUE_BINS / 64 };

struct capture_tally {
    uint32_t count[EVIDENCE_VALUE_BINS];
    uint64_t groups; /* bit g: some of count[4 g .. 4 g + 4) may be above 0 */
};

static inline void capture_tally_add(struct capture_tally *tally, uint32_t bin)
{
    tally->count[bin]++;
    tally->groups |= UINT64_C(1) << (bin / CAPTURE_TALLY_GROUP);
}

/* Write the populated bins, ascending, and leave the tally empty. */
static inline void capture_tally_take(struct capture_tally *tally, struct evidence_bin_counts *out)
{
    uint32_t n = 0;
    for (uint64_t groups = tally->groups; groups; groups &= groups - 1) {
        const uint32_t first = (uint32_t)__builtin_ctzll(groups) * CAPTURE_TALLY_GROUP;
        for (uint32_t bin = first; bin < first + CAPTURE_TALLY_GROUP; bin++) {
            out->bin[n] = (uint16_t)bin;
            out->count[n] = tally->count[bin];
            n += tally->count[bin] > 0;
            tally->count[bin] = 0;
        }
    }
    out->n = n;
    tally->groups = 0;
}

#endif
