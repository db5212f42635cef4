/* What one forward pass is made of: buffers, hooks, edits, layers. Private to
 * worker/model/forward*.c; one thread, as struct forward itself. */
#ifndef WORKER_MODEL_FORWARD_PARTS_H
#define WORKER_MODEL_FORWARD_PARTS_H

#include "worker/model/forward.h"

struct hook_buffer {
    float *device; /* [n_device]: of a part of the batch; the host's where memory is shared */
    float *host;   /* [n_floats]: of the batch */
    size_t n_floats, n_device;
};

/* Layers first .. last - 1, none of which a hook or an edit looks into. */
struct forward_span {
    size_t first, last;
    struct recording *recording; /* NULL before the second run */
    bool is_given_up;            /* it could not be recorded: one by one for good */
};
enum { FORWARD_MAX_SPANS = 8 };

/* Which layer's weights a pass will want next, of a streamed model. */
enum layer_order {
    LAYERS_ROUND,    /* the one behind, and behind the last the first */
    LAYERS_AND_BACK, /* behind the last the one before it: derivatives are taken next */
    LAYERS_BACK      /* the one before; behind the first the second, for the next pass */
};
size_t forward_next_layer(enum layer_order order, size_t layer, size_t n_layers);

struct forward {
    struct model *model;
    const struct model_config *config;
    const struct weights *weights;
    const struct backend_ops *ops;
    struct backend *backend;
    struct exec *exec;
    atomic_uint_fast64_t *progress;
    /* the part of the batch that is worked on; n_padded: n_tokens up to whole row blocks */
    size_t first_row, n_rows, n_ctx, n_tokens, n_padded;
    size_t batch_rows, part_rows; /* sequences of the batch, and of its largest part */
    size_t n_room;                /* tokens that the buffers have room for: whole row blocks */
    size_t row_block, n_logits;   /* n_logits: rows that `logits` has room for */
    size_t first_position; /* of every row of tokens, 0 but for variants that change late ones */
    /* device, [n_room, ...]; rows past n_tokens stay finite */
    float *normed, *qkv, *z, *delta, *mlp_pre, *mlp_post, *logits;
    float *stream;                    /* device [batch, padded]: the residual stream of all parts */
    float *residual;                  /* of the part, inside `stream` */
    float *rope_cos, *rope_sin;       /* device [n_ctx, d_head / 2] */
    uint32_t *tokens;                 /* host, of the batch, padding 0 */
    struct window *window;            /* of a streamed model, else NULL */
    enum layer_order order;           /* in which it is filled */
    size_t window_layer;              /* that `maps` are of; SIZE_MAX: none */
    const struct packed *const *maps; /* [LAYER_N_MAPS], the window's */
    struct hook_buffer buffers[FORWARD_MAX_HOOKS];
    struct hook_buffer edited;      /* host only: rows of an edit, where device memory is apart */
    struct divergence *divergences; /* device [n_divergences] */
    size_t n_divergences;
    struct forward_span spans[FORWARD_MAX_SPANS]; /* that have been run */
    size_t n_spans;
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
size_t forward_widest_input(const struct model_config *config); /* of a layer's products */

/* --- forward_hooks.c --- */

/* What a hook sees: n_tokens rows of `width` values, `ld` apart, plus a bias where the value is
 * defined with one that has not been added yet. */
struct hook_source {
    const float *values; /* device */
    const float *bias;   /* device [width] or NULL */
    size_t width, ld;
    size_t n_rows; /* 0: n_tokens */
    /* of rows that are not the part's, where the first goes and how many there will be: */
    size_t first_row_out, n_rows_out;
};

/* True if the run under way asks for that hook point. */
bool forward_is_asked(const struct forward *f, enum hook_kind kind, size_t layer);

/* Copy `source` for every hook of that kind and layer. */
MUST_CHECK status_t forward_offer(struct forward *f, enum hook_kind kind, size_t layer,
                                  struct hook_source source, struct error *err);

/* True once every hook of the run has its values: nothing more needs computing. */
bool forward_is_complete(const struct forward *f);

/* --- forward_edits.c --- */

/* True if the run under way changes that hook point. */
bool forward_is_edited(const struct forward *f, enum hook_kind kind, size_t layer);

/* The same values where they may be written: a place in one of the pass's buffers. */
struct edit_source {
    float *values; /* device */
    size_t width, ld;
};

/* n floats of the device for an edit on the host, and back: where they are, or a copy, of which
 * there is one at a time. */
MUST_CHECK status_t forward_borrow(struct forward *f, float *device, size_t n, float **out,
                                   struct error *err);
MUST_CHECK status_t forward_give_back(struct forward *f, float *device, size_t n,
                                      struct error *err);

/* Make every edit of that kind and layer, then offer what came of it. */
MUST_CHECK status_t forward_settle(struct forward *f, enum hook_kind kind, size_t layer,
                                   struct edit_source source, struct error *err);

/* --- forward.c --- */

/* The weights of one map of a layer: where they are, or where the window has them. */
MUST_CHECK status_t forward_map(struct forward *f, size_t layer, enum layer_map map,
                                const struct packed **out, struct error *err);

/* --- forward_layer.c --- */

MUST_CHECK status_t forward_embed(struct forward *f, struct error *err);

/* The stages of a layer, each over the first n_tokens rows of the buffers:
 *
 *   forward_to_qkv        residual (pre) -> qkv    RESID_PRE, Q, K and V are edited on the way
 *   forward_to_heads      the same and attention: residual (pre) -> z
 *   forward_settle_heads  z, edited
 *   forward_to_mid        z -> residual (mid)      ATTN_OUT is edited on the way
 *   forward_to_mlp        residual (mid), edited -> delta: the MLP's output without its bias
 *   forward_to_post       delta -> residual (post) MLP_OUT and RESID_POST are edited on the way
 *
 * A stage stops early once every hook of the run is served. */
typedef status_t forward_stage_fn(struct forward *f, size_t layer, struct error *err);
forward_stage_fn forward_to_qkv, forward_to_heads, forward_settle_heads, forward_to_mid,
    forward_to_mlp, forward_to_post;

/* The attention of a layer over the buffers as forward_to_heads() leaves them. */
struct attend_params forward_attend_params(const struct forward *f, size_t layer);

/* All of them, in place on the residual stream. */
MUST_CHECK status_t forward_layer(struct forward *f, size_t layer, struct error *err);

/* --- forward_replay.c --- */

/* True where layers can be recorded: the batch is one part, its weights stay where they are, and
 * the device can. */
bool forward_can_replay(const struct forward *f);
/* The layers from `first` on, until every hook of the run is served. Layers that nothing looks into
 * run as one recording from the second time. */
MUST_CHECK status_t forward_layers(struct forward *f, size_t first, struct error *err);
void forward_replay_fini(struct forward *f);

/* The stream of rows [n] of the batch into rows first and on of `delta`; normed = the final norm of
 * the first n of those. */
MUST_CHECK status_t forward_gather(struct forward *f, const uint32_t *rows, size_t n, size_t first,
                                   struct error *err);
MUST_CHECK status_t forward_norm_gathered(struct forward *f, size_t n, struct error *err);
/* The final norm of the part; its logits; those of the input's head rows, of any part. */
MUST_CHECK status_t forward_final_norm(struct forward *f, struct error *err);
MUST_CHECK status_t forward_part_logits(struct forward *f, struct error *err);
MUST_CHECK status_t forward_head_rows(struct forward *f, struct error *err);

/* --- forward_divergence.c --- */

/* Device room for n comparisons. */
MUST_CHECK status_t forward_reserve_divergences(struct forward *f, size_t n, struct error *err);
/* Those of the input's head pairs, of any part; the run is over then, unless it has head rows. */
MUST_CHECK status_t forward_head_pairs(struct forward *f, struct error *err);
/* Final norm and logits of a batch of one part. */
MUST_CHECK status_t forward_head(struct forward *f, struct error *err);

#endif
