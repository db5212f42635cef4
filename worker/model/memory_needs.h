/* What a task will have on the device beside the model itself, known from its spec before anything
 * is opened: how long its sequences are, the dictionaries that it will load, what it keeps of its
 * prompts, on how many threads. Plain data; input of memory_plan.h. */
#ifndef WORKER_MODEL_MEMORY_NEEDS_H
#define WORKER_MODEL_MEMORY_NEEDS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { MEMORY_MAX_TARGETS = 64 };

/* Derivatives, and of what: they take the layers' weights once more, edges those of single heads
 * too. */
enum memory_adjoint { MEMORY_NO_ADJOINT, MEMORY_ADJOINT_NODES, MEMORY_ADJOINT_EDGES };

/* A hook point that is read at every token. */
struct memory_target {
    const char *directory; /* of its dictionary, borrowed; NULL: it has none */
    double norm_scaling_factor;
    size_t d_in, n_features;
    bool is_there;  /* its weights are counted with an earlier target's, or are loaded already */
    size_t tally_k; /* of the tally that its encoder keeps; 0: none */
    size_t digest_windows; /* at most of a batch of n_rows that is digested where the backend can;
                            * 0: none is */
};

struct memory_needs {
    size_t n_ctx;      /* tokens of a sequence; 0: as many as the context, at most 128 */
    size_t n_rows;     /* sequences of a batch; 0: not known, as many as fit */
    size_t n_threads;  /* that compute with the model at once, each like this; 0: one */
    bool may_be_fewer; /* one thread, where all of them have no room beside all layers */
    size_t n_prompts; /* of an ablation, which keeps their clean pass; of a batch of an attribution,
                       * at most; 0: it is neither */
    enum memory_adjoint adjoint; /* an attribution's */
    bool is_compared; /* whole distributions are compared (KL): of an ablation those of its
                       * prompts at their answers, else those of all tokens of a pass */
    size_t n_columns; /* answers whose logits are asked for beside them, at most */
    size_t n_targets;
    struct memory_target targets[MEMORY_MAX_TARGETS];
};

/* One target more; directory (borrowed) NULL: without a dictionary. Reads the dictionary's shape.
 * Errors: those of dictionary_config_read(), ST_TOO_LARGE (too many). */
MUST_CHECK status_t memory_needs_add(struct memory_needs *needs, const char *directory,
                                     double norm_scaling_factor, struct error *err);

/* Do plans of both come to the same? is_there, threads and names of directories aside. */
bool memory_needs_are_equal(const struct memory_needs *a, const struct memory_needs *b);

#endif
