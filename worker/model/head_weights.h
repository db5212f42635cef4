/* The weights of single heads of one layer, each packed for itself: what one head reads from a
 * stream of its own, and what it alone writes. Takes as much memory as the layer's attention once
 * more, so only who needs it loads it. Read-only after loading; any thread. */
#ifndef WORKER_MODEL_HEAD_WEIGHTS_H
#define WORKER_MODEL_HEAD_WEIGHTS_H

#include "worker/model/model.h"

struct head_weights {
    const struct backend_ops *ops;
    size_t n_in, n_out;
    struct packed **in;  /* [n_in]: W_Q of every head, then W_K, then W_V of every group;
                          * [d_model, d_head] each */
    struct packed **out; /* [n_out]: W_O of every head, [d_head, d_model] */
};

/* *out is zeroed by the callee; nothing is left allocated on failure. Errors: those of reading the
 * weights, ST_NO_MEMORY. */
MUST_CHECK status_t head_weights_load(struct head_weights *out, const struct model *model,
                                      size_t layer, struct error *err);
void head_weights_unload(struct head_weights *weights); /* safe on zeroed */

#endif
