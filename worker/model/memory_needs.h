/* What a task will have on the device beside a model: how long its sequences are, and the
 * dictionaries that it encodes with. Plain data, for memory_plan.h. */
#ifndef WORKER_MODEL_MEMORY_NEEDS_H
#define WORKER_MODEL_MEMORY_NEEDS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { MEMORY_MAX_TARGETS = 64 };

/* A hook point that is read at every token. */
struct memory_target {
    const char *directory; /* of its dictionary, borrowed; NULL: it has none */
    double norm_scaling_factor;
    size_t d_in, n_features;
    bool is_there; /* its weights are counted with an earlier target's, or are loaded already */
};

struct memory_needs {
    size_t n_ctx;  /* tokens of a sequence; 0: as many as the context, at most 128 */
    size_t n_rows; /* sequences of a batch; 0: not known, as many as fit */
    size_t n_targets;
    struct memory_target targets[MEMORY_MAX_TARGETS];
};

/* One target more; directory (borrowed) NULL: without a dictionary. Reads the dictionary's shape.
 * Errors: those of dictionary_config_read(), ST_TOO_LARGE (too many). */
MUST_CHECK status_t memory_needs_add(struct memory_needs *needs, const char *directory,
                                     double norm_scaling_factor, struct error *err);

#endif
