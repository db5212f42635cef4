/* The parts of attribution patching. Private to worker/model/attribution*.c. */
#ifndef WORKER_MODEL_ATTRIBUTION_PARTS_H
#define WORKER_MODEL_ATTRIBUTION_PARTS_H

#include "worker/model/attribution.h"
#include "worker/model/forward_parts.h"

/* What is kept of a layer; device [n_padded, ...]. */
struct attribution_layer {
    float *pre; /* [d_model] the stream that enters it, in the pass that slopes are taken of */
    float *z, *kv, *mlp; /* corrupted - clean: heads, [k | v] rotated, MLP without bias */
    float *d_qkv;        /* slopes by q, k, v before rotation; one for all layers without edges */
    float *d_mid;        /* [d_model] slopes by what the MLP reads; likewise */
};

/* Of a list of weights, where layers are streamed. */
struct attribution_window {
    struct window *window; /* NULL: they are not */
    size_t layer;          /* that `weights` are of; SIZE_MAX: none */
    const struct packed *const *weights;
};

struct attribution {
    struct forward *forward;
    const struct adjoint_weights *weights;
    struct attribution_window windows[ADJOINT_N_LISTS];
    struct attribute_shape shape;
    bool has_edges;
    size_t n_tile_layers;             /* whose senders are spread out at once */
    size_t n_rows;                    /* prompts of a batch, at most, as the device has room */
    struct attribution_layer *layers; /* [n_layers] */
    /* device, [n_padded, ...] */
    float *embed, *embed_difference; /* [d_model] clean; corrupted - clean */
    float *last;                     /* [d_model] the stream behind the last layer */
    float *d_last;                   /* [d_model] slopes by it */
    float *d_stream, *d_normed;      /* [d_model] slopes by the stream on the way down */
    float *d_z, *d_mlp_in, *d_mlp_post;
    float *columns;       /* [2 n_kv d_head] some columns of wider rows, brought together */
    float *d_logits;      /* [answers up to whole row blocks, n_vocab] */
    float *negative_sine; /* [n_ctx, d_head / 2] or NULL: turns the rotation back */
    float *dots;          /* [n_padded, most groups] */
    /* device, edges alone: one row block of tokens of every sender, of a layer's receivers */
    float *senders;   /* [of n_tile_layers and the embedding, row_block, d_model] */
    float *receivers; /* [n_heads + 2 n_kv, row_block, d_model] */
    double *tile;     /* [n_heads + 2 n_kv, those senders] */
    /* host */
    float *dots_host; /* likewise */
    double *tile_host;
    float *zeros;                             /* [n_padded, d_model] */
    float *logits, *clean, *slopes;           /* [n_rows, n_vocab] */
    uint32_t *tokens, *lengths, *answer_rows; /* [n_rows * n_ctx], [n_rows], [n_rows] */
    struct forward_input input;
};

/* --- attribution_room.c --- */

/* Rows of one product: few enough that a batch has several blocks to give up when the device is
 * full (they do not follow the batch that is left, for a row's bits depend on them). */
size_t attribution_row_block(const struct attribution_size *size);
/* Would half of n_prompts of them take fewer row blocks? */
bool attribution_can_shrink(const struct attribution_size *size, size_t n_prompts);
/* Prompts of a batch: params->n_prompts, or fewer. tile_layers: how many layers' senders there is
 * room for beside them, at least one. Errors: ST_NO_MEMORY with the numbers. */
MUST_CHECK status_t attribution_choose_prompts(const struct attribution_params *params,
                                               const struct attribution_size *size, size_t *out,
                                               size_t *tile_layers, struct error *err);

/* --- attribution_windows.c --- */

/* Once the weights are loaded. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t attribution_open_windows(struct attribution *a, struct error *err);
void attribution_close_windows(struct attribution *a);
/* Number `index` of a layer's list, for products until another layer of that list is asked for. */
MUST_CHECK status_t attribution_weights(struct attribution *a, enum adjoint_list list, size_t layer,
                                        size_t index, const struct packed **out, struct error *err);

/* Backward from d_logits to the embedding. nodes: added to, [attribute_n_nodes]. */
MUST_CHECK status_t attribution_backward(struct attribution *a, double *nodes, struct error *err);

/* Scores of all edges from what backward left. edges: added to, [attribute_n_edges]. */
MUST_CHECK status_t attribution_score_edges(struct attribution *a, double *edges,
                                            struct error *err);

/* y = x W over all rows, W a map of a layer the other way round. */
struct attribution_product {
    enum layer_map map;
    size_t layer, n_in, n_out;
    const float *x;
    float *y;
};
MUST_CHECK status_t attribution_product(struct attribution *a, const struct attribution_product *p,
                                        struct error *err);
MUST_CHECK status_t attribution_copy(struct attribution *a, float *to, const float *from,
                                     size_t n_floats, struct error *err);

#endif
