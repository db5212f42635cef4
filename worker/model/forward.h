/* The forward pass of every family: one thread's buffers, run over batches of one fixed shape.
 *
 *   tokens [n_rows, n_ctx] -> embed -> layer 0 .. L -> final norm -> head
 *
 * A run computes no more than the last hook point asked for needs. Rows are sequences, padded
 * at the end to n_ctx; attention is causal within a row, so padding never reaches a real token,
 * and a token's values do not depend on the other rows of the batch. One layer is one function
 * from residual stream to residual stream, so a run may also start at a layer from a given
 * residual stream (prefix caching, ablation).
 *
 * A device that has no room for the buffers of a whole batch gets it in parts, a few sequences at a
 * time, layer by layer: the residual stream of the batch stays, and a layer is run over all parts
 * before the next one. So the weights of a layer are read once for all of them, which is what makes
 * streaming them (a model larger than the device) bearable. How large a part is depends on what is
 * free, and changes no bit of a result.
 *
 * What lies at a hook point may be changed on its way (forward_edit): steering and ablation are
 * made of that.
 *
 * A struct forward belongs to one thread; the model is shared. */
#ifndef WORKER_MODEL_FORWARD_H
#define WORKER_MODEL_FORWARD_H

#include "worker/model/hook_point.h"
#include "worker/model/model.h"

#include <stdatomic.h>

struct forward;

enum { FORWARD_MAX_HOOKS = 64, FORWARD_MAX_EDITS = 64, FORWARD_MAX_TOKENS = 1 << 22 };

struct forward_params {
    struct model *model; /* borrowed */
    size_t n_rows, n_ctx;
    size_t row_block; /* rows of one product; 0: 256, or less if the batch is smaller */
    bool is_whole;    /* never in parts: for who works on the buffers (variants, attributions) */
    atomic_uint_fast64_t *progress; /* one tick per layer; borrowed; may be NULL */
};

/* The row_block that 0 stands for in a batch of n_tokens. Batches of different shapes give a token
 * the same values, bit for bit, as long as their row_block is the same. */
size_t forward_row_block(size_t n_tokens);

/* On ST_OK the caller owns *out. Errors: ST_BAD_INPUT (n_ctx over the model's positions, no
 * rows), ST_TOO_LARGE, ST_NO_MEMORY with the sequences that it was for. */
MUST_CHECK status_t forward_create(struct forward **out, const struct forward_params *params,
                                   struct error *err);
void forward_destroy(struct forward **forward); /* NULL-safe; sets *forward = NULL */

/* The values at a hook point while they may be changed: host [n_rows * n_ctx, width], rows ld
 * apart, of sequences first_row and on of the batch. Rows of padding are finite and
 * meaningless, and may be changed without effect. */
struct forward_values {
    float *values;
    size_t first_row, n_rows, n_ctx, width, ld;
};

/* A change of the values at one hook point, made (once for each part of the batch) as soon as
 * the pass has them and before anything reads them: hooks of the run see the changed values,
 * and so does the rest of the pass. Edits of one hook point are made in the order in which they
 * are given. Must not use the forward pass that calls it. An error ends the run with it. */
typedef status_t forward_edit_fn(void *context, const struct forward_values *values,
                                 struct error *err);

/* The same values where the device has them, to be changed by operations asked of `exec`: rows do
 * not come to the host for it. */
struct forward_place {
    const struct backend_ops *ops;
    struct exec *exec;
    float *values; /* device */
    size_t first_row, n_rows, n_ctx, width, ld;
};
typedef status_t forward_change_fn(void *context, const struct forward_place *place,
                                   struct error *err);
struct forward_edit {
    struct hook_point hook; /* of a kind that forward_can_edit() */
    forward_edit_fn *apply;
    void *context;
    forward_change_fn *change; /* the same change by operations, or NULL. Made in the place of
                                * `apply`, with the same bits, where memory is not the host's */
};

/* The residual stream, q, k and v (before the rotation), z, neurons, and the outputs of attention
 * and MLP (biases included). */
bool forward_can_edit(enum hook_kind kind);

struct forward_input {
    const uint32_t *tokens;      /* [n_rows, n_ctx]; what lies past a row's length is not read */
    const uint32_t *row_lengths; /* [n_rows], each 0..n_ctx */
    size_t first_layer;          /* layers before it are skipped; then residual is given */
    const float *residual;       /* host [n_rows * n_ctx, d_model] entering first_layer, or NULL */
    const struct forward_edit *edits; /* [n_edits], borrowed, or NULL */
    size_t n_edits;
    const bool *stays;         /* [n_hooks] or NULL: hooks whose values stay on the device */
    const uint32_t *head_rows; /* [n_head_rows], each below n_rows * n_ctx: the only tokens whose */
    size_t n_head_rows;        /* logits are computed, in that order; NULL: all */
    /* Tokens whose distributions are compared (kernels/backend.h), in a run whose one hook is
     * HOOK_LOGITS: its values are those of head_rows, or NULL without any. */
    const struct row_pair *head_pairs; /* [n_head_pairs], each below n_rows * n_ctx, or NULL */
    size_t n_head_pairs;
    struct divergence *divergences; /* host [n_head_pairs], filled */
};

/* Run and collect `hooks` [n_hooks]: out_acts[i] is [n_rows * n_ctx, hook_point_width], on the
 * host (on the device where it stays), borrowed until the next run; rows at padding positions are
 * finite and meaningless. With
 * head_rows, logits are [n_head_rows, n_vocab], each row the same bits.
 * With `residual`, hooks and edits before first_layer are an error.
 * Errors, before anything runs: ST_BAD_INPUT (token outside the vocabulary, length over n_ctx, too
 * many hooks or edits, a hook point that cannot be edited, a head row that does not exist); those
 * of an edit. */
MUST_CHECK status_t forward_run(struct forward *forward, const struct forward_input *input,
                                const struct hook_point *hooks, size_t n_hooks,
                                const float **out_acts, struct error *err);

/* Norms of the heads' outputs at one layer, |z_h W_O,h|, from the hook_z values of a run (any
 * host array of that shape): out is host [n_tokens, n_heads]; n_tokens at most n_rows * n_ctx. */
MUST_CHECK status_t forward_head_norms(struct forward *forward, size_t layer, const float *z,
                                       size_t n_tokens, float *out, struct error *err);

/* Values of unit kinds that need no dictionary are those of a hook point: neurons are
 * mlp.hook_post, residual dimensions hook_resid_*, heads forward_head_norms(). */

struct exec *forward_exec(struct forward *forward);

/* Sequences of the largest part; n_rows where the batch is one. */
size_t forward_part_rows(const struct forward *forward);

#endif
