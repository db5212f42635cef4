/* Scores of all nodes and edges of a model by derivatives (common/attribute.h says which and in
 * what order): a pass over the corrupted prompts, one over the clean ones, then for every step one
 * forward and one backward pass.
 *
 *   corrupted, clean -> difference of what every sender writes       kept, d_model floats a token
 *   forward          -> the stream that enters every layer           and layer each
 *   backward         -> slopes by heads, keys, values, MLPs: nodes
 *                       and by what q, k, v and the MLP read: edges
 *
 * Backward, a layer is computed forward again from the stream that entered it, so nothing else of
 * it is kept. Scores of edges are made when the slopes of all layers are there, `row_block` tokens
 * and the senders of some layers at a time, as many as there is room for: their differences and the
 * slopes of one layer's receivers of those tokens are spread out, then one product for every layer
 * of receivers. An edge's sum is over tokens in their order, whoever else is spread out beside it.
 *
 * Of a model whose layers are streamed, the weights that derivatives take are streamed too, from
 * the last layer to the first (attribution_windows.c); the bits are the same.
 *
 * A batch takes fewer prompts where the device has no room for all of them (attribution_room.c).
 * The row block does not follow it, so what is summed keeps its bits; only the order of sums over
 * prompts in f64 may change.
 *
 * A struct attribution belongs to one thread; the model is shared. */
#ifndef WORKER_MODEL_ATTRIBUTION_H
#define WORKER_MODEL_ATTRIBUTION_H

#include "common/attribute.h"
#include "worker/model/forward.h"

/* Of senders that are spread out, where the device's memory is the host's. */
enum { ATTRIBUTION_TILE_BYTES = 1 << 28 };

/* For memory plans, on the device beside weights and an exec: n of at most n_prompts prompts in a
 * batch, and the smallest batch that saves anything. */
struct attribution_size {
    const struct model_config *config;
    size_t n_prompts, n_ctx;
    bool has_edges;
    const struct backend *backend;
    enum compute compute;
};
size_t attribution_batch_bytes(const struct attribution_size *size, size_t n);
size_t attribution_least_bytes(const struct attribution_size *size);

struct attribution;

struct attribution_params {
    struct model *model; /* borrowed */
    size_t n_prompts;    /* of a batch, at most: fewer where there is no room */
    size_t n_ctx;
    bool has_edges;
    atomic_uint_fast64_t *progress; /* one tick per layer; borrowed; may be NULL */
};

/* On ST_OK the caller owns *out. Errors: those of forward_create(), ST_UNSUPPORTED (a backend
 * without adjoints), ST_TOO_LARGE, ST_NO_MEMORY with what it takes and what is free, before
 * anything is loaded. */
MUST_CHECK status_t attribution_create(struct attribution **out,
                                       const struct attribution_params *params, struct error *err);
void attribution_destroy(struct attribution **attribution); /* NULL-safe */

/* Prompts that a run may have. */
size_t attribution_n_prompts(const struct attribution *attribution);

/* Prompts of a batch that a task with n_prompts of n_ctx tokens asks for: more than a few hundred
 * tokens at once save nothing. */
size_t attribution_task_batch(size_t n_prompts, size_t n_ctx);

struct attribute_shape attribution_shape(const struct model_config *config);

struct attribution_prompts {           /* all borrowed */
    size_t n;                          /* 1 .. attribution_n_prompts() */
    const uint32_t *clean, *corrupted; /* [n, n_ctx] */
    const uint32_t *lengths;           /* [n], each 1..n_ctx */
    const uint32_t *answers;           /* [n]: position of the logits, below the length */
};

/* Slope of the metric of one prompt by its logits: slope [n_vocab], zeroed by the caller. `clean`
 * are the logits of the clean run. All host. An error ends the run with it. */
typedef status_t attribution_slope_fn(void *context, size_t prompt, const float *logits,
                                      const float *clean, float *slope, struct error *err);

struct attribution_request {
    size_t n_steps; /* 0: slopes at the clean run; else the mean of those at
                     * corrupted + (k / n_steps) (clean - corrupted), k = 0 .. n_steps - 1 */
    attribution_slope_fn *slope;
    void *context;
    double *nodes; /* [attribute_n_nodes], added to */
    double *edges; /* [attribute_n_edges], added to; NULL unless has_edges */
};

/* Errors: ST_BAD_INPUT (ids, lengths, positions), those of `slope`, ST_NO_MEMORY. */
MUST_CHECK status_t attribution_run(struct attribution *attribution,
                                    const struct attribution_prompts *prompts,
                                    const struct attribution_request *request, struct error *err);

#endif
