/* The weights of one target model on a backend: read once from the checkpoint, checked (shape,
 * finite values), packed for products, then read-only and shared by all threads.
 *
 * Fused where the forward pass multiplies the same input: q, k and v are one product, and so are
 * the two inputs of a gated MLP. */
#ifndef WORKER_MODEL_WEIGHTS_H
#define WORKER_MODEL_WEIGHTS_H

#include "kernels/backend.h"
#include "worker/model/model_config.h"
#include "worker/model/safetensors.h"

struct linear {
    struct packed *weights;
    float *bias; /* device [n_out] or NULL */
    size_t n_in, n_out;
};

struct norm_weights {
    float *weight; /* device [d_model] */
    float *bias;   /* device [d_model] or NULL */
};

struct layer_weights {
    struct norm_weights norm_1, norm_2;
    /* on their shelf if layers are streamed: a pass takes them from its window */
    struct linear qkv; /* columns [q | k | v], heads contiguous */
    struct linear attn_out;
    struct linear mlp_in; /* columns [gate | up] where gated */
    struct linear mlp_out;
};

struct weights {
    struct backend *backend;
    float *token_embed;           /* device [n_vocab, d_model] */
    float *position_embed;        /* device [n_positions, d_model] or NULL */
    struct layer_weights *layers; /* [n_layers] */
    size_t n_layers;
    struct norm_weights norm_final;
    size_t n_bytes;              /* on the device */
    const struct packed **shelf; /* [n_layers, LAYER_N_MAPS] if layers are streamed, else NULL */
    size_t n_shelf_bytes;        /* of the host's pinned memory */
};

/* The maps of a layer, in the order in which a window has them. */
enum layer_map { LAYER_QKV, LAYER_ATTN_OUT, LAYER_MLP_IN, LAYER_MLP_OUT, LAYER_N_MAPS };

/* What a load needs to know; all borrowed. Without a checkpoint weights have a shape and no values:
 * the backend gets NULL in their place, and what is read onto the host is NULL. */
struct weights_source {
    const struct safetensors *checkpoint;
    const struct model_config *config;
    struct backend *backend;
    enum compute compute;
    uint64_t shuffle_seed; /* weight_shuffle.h; 0: the weights as they are */
    bool is_streamed;      /* the layers' maps stay on the host, for windows */
};

/* Fill *out (zeroed by the callee). On failure nothing is left allocated.
 * Errors: ST_NOT_FOUND (a tensor), ST_BAD_INPUT (shape, NaN or infinity), ST_UNSUPPORTED
 * (dtype), ST_NO_MEMORY; each names the tensor. */
MUST_CHECK status_t weights_load(struct weights *out, const struct weights_source *source,
                                 struct error *err);
void weights_unload(struct weights *weights); /* safe on zeroed */

/* The output head (or the token embedding where tied), packed; the caller destroys it. */
MUST_CHECK status_t weights_load_head(struct packed **out, const struct weights_source *source,
                                      struct error *err);

/* Its columns of those tokens alone, ids [n] each below n_vocab. */
MUST_CHECK status_t weights_load_head_columns(struct packed **out,
                                              const struct weights_source *source,
                                              const uint32_t *ids, size_t n, struct error *err);

/* The same as f32 on the host, [n_vocab, d_model]; the caller frees it. */
MUST_CHECK status_t weights_read_head(const struct weights_source *source, float **out,
                                      struct error *err);

/* W_out of a layer's MLP as f32 on the host, [d_mlp, d_model]; the caller frees it. */
MUST_CHECK status_t weights_read_mlp_out(float **out, const struct weights_source *source,
                                         size_t layer, struct error *err);

/* W_Q, W_K and W_V of a layer side by side as f32 on the host, [d_model, (n_heads + 2 n_kv_heads)
 * d_head]; the caller frees it. */
MUST_CHECK status_t weights_read_qkv(float **out, const struct weights_source *source, size_t layer,
                                     struct error *err);

/* W_O of a layer as f32 on the host, [n_heads * d_head, d_model]; the caller frees it. */
MUST_CHECK status_t weights_read_attn_out(float **out, const struct weights_source *source,
                                          size_t layer, struct error *err);

/* W_in of a layer's MLP as f32 on the host, [d_model, d_mlp], or [d_model, 2 d_mlp] with the gate
 * first; the caller frees it. */
MUST_CHECK status_t weights_read_mlp_in(float **out, const struct weights_source *source,
                                        size_t layer, struct error *err);

#endif
