/* What a capture starts on a device, counted without one: the launches of a forward pass to a hook
 * point and of the encode there, in the order of worker/model/forward_layer.c and encoder.c.
 * tests/unit/test_paper.c records what a real pass asks its backend for, and finds the same. */
#ifndef WORKER_PAPER_PAPER_PLAN_H
#define WORKER_PAPER_PAPER_PLAN_H

#include "kernels/cuda/accounting.h"
#include "worker/model/hook_point.h"

struct paper_plan {
    const struct model_config *config;
    struct hook_point hook; /* HOOK_RESID_PRE or HOOK_RESID_POST */
    size_t n_rows, n_ctx;   /* of a batch, no padding */
    enum compute compute;
    size_t n_features, k; /* of the dictionary; n_features 0: no encode; k: topk */
    double candidates_per_token, fired_per_token;
    size_t tally_k; /* largest values that are kept of each feature */
};

/* Add one batch's pass, the activations on the host at its end. Errors: ST_UNSUPPORTED (another
 * hook point), ST_NO_MEMORY. */
MUST_CHECK status_t paper_plan_forward(const struct paper_plan *plan, struct launch_costs *to,
                                       struct error *err);
/* Add the encode of these activations. */
void paper_plan_encode(const struct paper_plan *plan, struct launch_costs *to);

/* Bytes of the weights up to the hook point, as they lie on the device; embeddings too. */
double paper_plan_weight_bytes(const struct paper_plan *plan);

#endif
