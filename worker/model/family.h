/* What a family of target models calls its things: one table per family, read by the config
 * reader, the weight loader and the one forward pass. Adding a family is adding a table (and a
 * switch where it really computes something new), never a second forward pass.
 *
 * In tensor names '#' stands for the layer number; ".weight" and ".bias" are appended. Constant
 * data; any thread. */
#ifndef WORKER_MODEL_FAMILY_H
#define WORKER_MODEL_FAMILY_H

#include "kernels/backend.h"

#include <stdbool.h>
#include <stddef.h>

/* Keys of config.json; NULL where the family has no such key. */
struct family_keys {
    const char *d_model, *n_layers, *n_heads, *n_kv_heads, *d_head, *d_mlp, *n_vocab, *n_positions,
        *norm_eps, *activation, *attention_bias, *mlp_bias;
};

struct family_tensors {
    const char *prefixes[3]; /* tried in turn, before every name but the head's; NULL ends */
    const char *token_embed, *position_embed, *norm_1, *norm_2, *norm_final;
    const char *qkv; /* one tensor of q, k and v, or NULL and then: */
    const char *q, *k, *v;
    const char *attn_out;
    const char *mlp_gate; /* NULL if the MLP is not gated */
    const char *mlp_in, *mlp_out, *head;
};

struct family {
    const char *name;         /* "gpt2", "llama"; also the config's model_type */
    const char *architecture; /* the one class name of config.json that we compute */
    struct family_keys keys;
    struct family_tensors tensors;
    enum norm_kind norm;
    bool norm_has_bias;
    bool has_rotary; /* else learned positions */
    bool is_conv1d;  /* weights lie [in, out] (y = x W), else [out, in] */
    bool is_tied_by_default;
    bool has_biases; /* all linear maps have one, whatever the config says */
    double default_norm_eps;
    size_t default_n_positions;
    const char *default_activation;
};

/* The family of a config's architecture and model_type; either may be NULL, and where both are
 * given they must agree. Errors: ST_UNSUPPORTED names what was asked for. */
MUST_CHECK status_t family_find(const char *architecture, const char *model_type,
                                const struct family **out, struct error *err);

#endif
