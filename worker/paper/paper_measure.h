/* A plan's work on a real backend: tokens a second. Of a capture that is the pass to the hook
 * point, the encode of what stays on the device, rows to the host, running top values of each
 * feature. One thread. */
#ifndef WORKER_PAPER_PAPER_MEASURE_H
#define WORKER_PAPER_PAPER_MEASURE_H

#include "worker/paper/paper_plan.h"

struct paper_measure {
    struct backend *backend;
    const char *model;      /* an HF directory */
    const char *dictionary; /* a SAELens directory, or NULL: no encode */
    double seconds;         /* of each of the windows */
    size_t n_windows;
};

/* *tokens_per_s of the best window; the plan's dictionary becomes the one that was used, and its
 * candidates what the screen let through. Errors: those of model, dictionary and backend. */
MUST_CHECK status_t paper_measure_run(const struct paper_measure *measure, struct paper_plan *plan,
                                      double *tokens_per_s, struct error *err);

#endif
