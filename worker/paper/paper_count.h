/* A plan's work walked on a device of paper (paper_device.h): what it would launch there. */
#ifndef WORKER_PAPER_PAPER_COUNT_H
#define WORKER_PAPER_PAPER_COUNT_H

#include "worker/paper/paper_device.h"
#include "worker/paper/paper_plan.h"

struct paper_counted {
    struct paper_counts counts; /* of one step of work, the second: nothing is new to it */
    size_t n_tokens;            /* of that step (paper_lane_step()) */
    double weight_bytes;        /* of the model, where they are; with those for derivatives */
};

/* peaks: of the device, whose memory decides batches and whether weights are streamed; NULL:
 * unknown, all of it fits. Errors: ST_NO_MEMORY with the numbers (the work does not fit on the
 * device), those of the work. */
MUST_CHECK status_t paper_count(const struct paper_plan *plan, const struct device_peaks *peaks,
                                struct paper_counted *out, struct error *err);

#endif
