/* The parts of one forward pass: buffers, hooks, layers. Private to worker/model/forward*.c; one
 * thread, as struct forward itself. */
#ifndef WORKER_MODEL_FORWARD_PARTS_H
#define WORKER_MODEL_FORWARD_PARTS_H

#include "worker/model/forward.h"

struct hook_buffer {
    float *device; /* [n_tokens, width] */
    float *host;   /* the same array where device memory is host memory */
    size_t n_floats;
};

struct forward {
    struct model *model;
    const struct model_config *config;
    const struct weights *weights;
    const struct backend_ops *ops;
    struct backend *backend;
    struct exec *exec;
    atomic_uint_fast64_t *progress;
    size_t n_rows, n_ctx, n_tokens, n_padded; /* n_padded: n_tokens up to whole row blocks */
    /* device, [n_padded, ...]; rows past n_tokens stay finite */
    float *residual, *normed, *qkv, *z, *delta, *mlp_pre, *mlp_post, *logits;
    float *rope_cos, *rope_sin; /* device [n_ctx, d_head / 2] */
    uint32_t *tokens;           /* host [n_tokens], padding 0 */
    struct hook_buffer buffers[FORWARD_MAX_HOOKS];
    /* of the run under way: */
    const struct forward_input *input;
    const struct hook_point *hooks;
    size_t n_hooks, n_seen;
    const float **out_acts;
};

/* Device floats [rows, columns], zeroed. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t forward_floats(struct forward *f, size_t rows, size_t columns, float **out,
                                   struct error *err);

/* Columns of the fused products: [q | k | v], and [gate | up] where the MLP is gated. */
size_t forward_width_qkv(const struct model_config *config);
size_t forward_width_mlp_in(const struct model_config *config);

/* --- forward_hooks.c --- */

/* What a hook sees: n_tokens rows of `width` values, `ld` apart, plus a bias where the value is
 * defined with one that has not been added yet. */
struct hook_source {
    const float *values; /* device */
    const float *bias;   /* device [width] or NULL */
    size_t width, ld;
};

/* True if the run under way asks for that hook point. */
bool forward_is_asked(const struct forward *f, enum hook_kind kind, size_t layer);

/* Copy `source` for every hook of that kind and layer. */
MUST_CHECK status_t forward_offer(struct forward *f, enum hook_kind kind, size_t layer,
                                  struct hook_source source, struct error *err);

/* True once every hook of the run has its values: nothing more needs computing. */
bool forward_is_complete(const struct forward *f);

/* --- forward_layer.c --- */

MUST_CHECK status_t forward_embed(struct forward *f, struct error *err);

/* One layer, in place on the residual stream; stops early once every hook is served. */
MUST_CHECK status_t forward_layer(struct forward *f, size_t layer, struct error *err);

/* Final norm and logits. */
MUST_CHECK status_t forward_head(struct forward *f, struct error *err);

#endif
