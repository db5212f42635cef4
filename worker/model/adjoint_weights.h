/* The weights of a target model packed the other way round, for products that carry derivatives
 * back; and, for scores of single edges, the maps of single heads. Made on first use beside the
 * weights of the forward pass (model_adjoint() in model.h), then read-only and shared.
 *
 * Costs the layers' weights once more, and with the heads' maps attention's twice more. */
#ifndef WORKER_MODEL_ADJOINT_WEIGHTS_H
#define WORKER_MODEL_ADJOINT_WEIGHTS_H

#include "worker/model/weights.h"

struct adjoint_layer {
    struct packed *qkv;      /* [(n_heads + 2 n_kv) d_head] -> [d_model] */
    struct packed *attn_out; /* [d_model] -> [n_heads d_head] */
    struct packed *mlp_in;   /* [d_mlp, or gate and up] -> [d_model] */
    struct packed *mlp_out;  /* [d_model] -> [d_mlp] */
    /* NULL until asked for: */
    struct packed *
        *readers; /* [n_heads + 2 n_kv] of q, k, v in turn: [d_head] -> [d_model], back */
    struct packed **writers; /* [n_heads]: [d_head] -> [d_model], the head's part of W_O, forward */
};

struct adjoint_weights {
    struct backend *backend;
    struct packed *head;          /* [n_vocab] -> [d_model] */
    struct adjoint_layer *layers; /* [n_layers] */
    size_t n_layers, n_readers, n_writers;
    size_t n_bytes; /* on the device */
    bool has_heads;
};

/* Fill *out, without the heads' maps. On failure nothing is left allocated. Errors: those of
 * weights_load(). */
MUST_CHECK status_t adjoint_weights_load(struct adjoint_weights *out,
                                         const struct weights_source *source, struct error *err);
/* The heads' maps too. On failure *weights stays as it was. */
MUST_CHECK status_t adjoint_weights_load_heads(struct adjoint_weights *weights,
                                               const struct weights_source *source,
                                               struct error *err);
/* Bytes that the two calls above would still take on the device: of `loaded` (zeroed: nothing is)
 * those that are not there, the heads' maps if has_heads. */
size_t adjoint_weights_missing(const struct adjoint_weights *loaded,
                               const struct weights_source *source, bool has_heads);
void adjoint_weights_unload(struct adjoint_weights *weights); /* safe on zeroed */

#endif
