/* One kind of work (paper_plan.h) done step by step on any backend: on a device of paper it is
 * counted, on another one timed. One thread. */
#ifndef WORKER_PAPER_PAPER_LANE_H
#define WORKER_PAPER_PAPER_LANE_H

#include "worker/model/encoder.h"
#include "worker/model/model.h"
#include "worker/paper/paper_plan.h"

struct paper_lane;

struct paper_lane_params {
    const struct paper_plan *plan; /* all borrowed for the lane's life */
    struct model *model;
    struct encoder *encoder; /* of what a capture leaves on the device; NULL: none */
};

/* Errors: those of forward_create(), variants_create(), attribution_create(). */
MUST_CHECK status_t paper_lane_open(struct paper_lane **out, const struct paper_lane_params *params,
                                    struct error *err);
void paper_lane_close(struct paper_lane **lane); /* NULL-safe */

/* The work once, all batches of it: a `step` of bench_clock.h. *n_tokens grows by the tokens of the
 * capture, of all variants, of the pairs of prompts. */
MUST_CHECK status_t paper_lane_step(void *lane, size_t *n_tokens, struct error *err);

#endif
