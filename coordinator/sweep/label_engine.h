/* The engine of a label sweep, as far as others see it beside struct sweep_engine_ops. */
#ifndef COORDINATOR_SWEEP_LABEL_ENGINE_H
#define COORDINATOR_SWEEP_LABEL_ENGINE_H

#include "coordinator/sweep/sweep.h"

struct label_calls {
    uint64_t n_open; /* queued or in flight */
};
/* Add the calls this sweep waits for. */
void label_engine_calls(const struct sweep *sweep, struct label_calls *sum);

/* What a running sweep knows of a feature that is to be probed; of one that does not run, or not so
 * far, nothing: fingerprints "", n_features 0, has_threshold false (label_probe.c). */
struct label_probe_facts {
    const char *model_fingerprint, *dictionary_fingerprint; /* borrowed from the run */
    uint32_t n_features;                                    /* of the target */
    bool has_threshold;
    float fire_threshold; /* frozen */
};
/* `feature` is a number as records have it: of a signed unit 2 * unit, 2 * unit + 1. */
void label_engine_probe_facts(const struct sweep *sweep, size_t target, uint64_t feature,
                              struct label_probe_facts *out);

#endif
