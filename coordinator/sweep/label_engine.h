/* The engine of a label sweep, as far as others see it beside struct sweep_engine_ops. */
#ifndef COORDINATOR_SWEEP_LABEL_ENGINE_H
#define COORDINATOR_SWEEP_LABEL_ENGINE_H

#include "coordinator/sweep/sweep.h"

struct label_calls {
    uint64_t n_open; /* queued or in flight */
};
/* Add the calls this sweep waits for. */
void label_engine_calls(const struct sweep *sweep, struct label_calls *sum);

#endif
