/* The weights of a target model packed the other way round, for products that carry derivatives
 * back; and, for scores of single edges, the maps of single heads. Made on first use beside the
 * weights of the forward pass (model_adjoint() in model.h), then read-only and shared.
 *
 * Costs the layers' weights once more, and with the heads' maps attention's twice more. Of a model
 * whose layers are streamed they lie on the shelf beside the others: an attribution has windows of
 * its own for them (attribution_windows.c). */
#ifndef WORKER_MODEL_ADJOINT_WEIGHTS_H
#define WORKER_MODEL_ADJOINT_WEIGHTS_H

#include "worker/model/weights.h"

/* Lists of all layers, one behind the other. */
enum adjoint_list {
    ADJOINT_MAPS,    /* [LAYER_N_MAPS] those of enum layer_map, out -> in */
    ADJOINT_READERS, /* [n_heads + 2 n_kv] of q, k, v in turn: [d_head] -> [d_model], back */
    ADJOINT_WRITERS, /* [n_heads]: [d_head] -> [d_model], the head's part of W_O, forward */
    ADJOINT_N_LISTS
};

struct adjoint_weights {
    struct backend *backend;
    struct packed *head;                    /* [n_vocab] -> [d_model] */
    struct packed **lists[ADJOINT_N_LISTS]; /* [n_layers, n_each]; NULL until asked for */
    size_t n_each[ADJOINT_N_LISTS];         /* of a layer */
    size_t n_layers;
    size_t n_bytes;       /* on the device */
    size_t n_shelf_bytes; /* of the host's pinned memory, where layers are streamed */
    bool is_streamed, has_heads;
};

/* Bytes: of the head, of a layer's maps, and of the maps of its single heads. */
struct adjoint_cost {
    size_t n_head, n_layer, n_layer_heads;
};
/* Of source its config, backend and compute are read. */
struct adjoint_cost adjoint_weights_estimate(const struct weights_source *source);

/* Fill *out, without the heads' maps. On failure nothing is left allocated. Errors: those of
 * weights_load(). */
MUST_CHECK status_t adjoint_weights_load(struct adjoint_weights *out,
                                         const struct weights_source *source, struct error *err);
/* The heads' maps too. On failure *weights stays as it was. */
MUST_CHECK status_t adjoint_weights_load_heads(struct adjoint_weights *weights,
                                               const struct weights_source *source,
                                               struct error *err);
/* Bytes that the two calls above would still take on the device: of `loaded` (zeroed: nothing is)
 * those that are not there, the heads' maps if has_heads. Windows are not among them. */
size_t adjoint_weights_missing(const struct adjoint_weights *loaded,
                               const struct weights_source *source, bool has_heads);
void adjoint_weights_unload(struct adjoint_weights *weights); /* safe on zeroed */

#endif
