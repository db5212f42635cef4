/* What the parts of a memory plan take, asked of the functions that stand beside the code that
 * takes it. Private to worker/model/memory_*.c. */
#ifndef WORKER_MODEL_MEMORY_MEASURE_H
#define WORKER_MODEL_MEMORY_MEASURE_H

#include "worker/model/memory_plan.h"

/* Everything in *plan but what is chosen by it: is_streamed, n_resident, n_host, n_room, n_fitting.
 * Errors: those of memory_plan_make(). */
MUST_CHECK status_t memory_measure(struct memory_plan *plan,
                                   const struct memory_plan_params *params, struct error *err);

#endif
