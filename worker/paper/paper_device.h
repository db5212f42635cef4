/* A device of paper: a backend that has a data sheet and nothing else. It gives out memory that
 * nobody can read or write, as much as the sheet says; its operations compute nothing and add to a
 * count what the CUDA backend's would launch (kernels/cuda/accounting.h). So a walk over launches
 * is the real code, run on it: batches, parts, streamed layers and recordings as it chooses them on
 * a device of that size. What comes down from it is zeros. tests/unit/test_paper.c holds the counts
 * against what the same work launches on the emulator.
 *
 * Models are opened on it by shape (model_params.shape). It encodes no dictionaries. One thread. */
#ifndef WORKER_PAPER_PAPER_DEVICE_H
#define WORKER_PAPER_PAPER_DEVICE_H

#include "kernels/cuda/accounting.h"

/* What has been asked of a device since it was opened, or since it was told to forget. */
struct paper_counts {
    struct launch_costs costs;
    double streamed_bytes; /* of weights over the link into windows, beside the launches */
};

/* peaks: borrowed until it is closed (backend_close()); NULL: a device without an end of memory.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t paper_device_open(struct backend **out, const struct device_peaks *peaks,
                                      struct error *err);

const struct paper_counts *paper_device_counts(const struct backend *backend);
void paper_device_forget(struct backend *backend);

#endif
