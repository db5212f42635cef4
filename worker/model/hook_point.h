/* Named activations, by their TransformerLens names, carrying the unprocessed values of the HF
 * model (no folding, no centring).
 *
 *   hook_embed                        token embedding                        d_model
 *   hook_pos_embed                    learned position embedding             d_model
 *   blocks.L.hook_resid_pre           residual stream entering layer L       d_model
 *   blocks.L.ln1.hook_normalized      after mean and scale, before w and b   d_model
 *   blocks.L.attn.hook_q|k|v          heads after bias, before rotation      heads * d_head
 *   blocks.L.attn.hook_z              attention-weighted values              n_heads * d_head
 *   blocks.L.hook_attn_out            output of attention, bias included     d_model
 *   blocks.L.hook_resid_mid           residual stream after attention        d_model
 *   blocks.L.ln2.hook_normalized      as ln1                                 d_model
 *   blocks.L.mlp.hook_pre             before the nonlinearity (gate)         d_mlp
 *   blocks.L.mlp.hook_pre_linear      the other factor of a gated MLP        d_mlp
 *   blocks.L.mlp.hook_post            neurons                                d_mlp
 *   blocks.L.hook_mlp_out             output of the MLP, bias included       d_model
 *   blocks.L.hook_resid_post          residual stream leaving layer L        d_model
 *   ln_final.hook_normalized          as ln1                                 d_model
 *   logits                                                                   n_vocab
 *
 * hook_normalized is the value before the norm's own weight, as in TransformerLens 3 for both
 * norms. Plain data; any thread. */
#ifndef WORKER_MODEL_HOOK_POINT_H
#define WORKER_MODEL_HOOK_POINT_H

#include "worker/model/model_config.h"

/* In the order in which a layer computes them. */
enum hook_kind {
    HOOK_EMBED,
    HOOK_POS_EMBED,
    HOOK_RESID_PRE,
    HOOK_LN1_NORMALIZED,
    HOOK_Q,
    HOOK_K,
    HOOK_V,
    HOOK_Z,
    HOOK_ATTN_OUT,
    HOOK_RESID_MID,
    HOOK_LN2_NORMALIZED,
    HOOK_MLP_PRE,
    HOOK_MLP_PRE_LINEAR,
    HOOK_MLP_POST,
    HOOK_MLP_OUT,
    HOOK_RESID_POST,
    HOOK_LN_FINAL_NORMALIZED,
    HOOK_LOGITS,
    HOOK_N_KINDS
};

struct hook_point {
    enum hook_kind kind;
    size_t layer; /* 0 where the kind has none */
};

enum { HOOK_NAME_SIZE = 48 };

/* Errors: ST_UNSUPPORTED (a TransformerLens name we do not offer), ST_NOT_FOUND (no such name,
 * layer, or nothing of the kind in this model). */
MUST_CHECK status_t hook_point_parse(const char *name, const struct model_config *config,
                                     struct hook_point *out, struct error *err);

/* Write the name into out[HOOK_NAME_SIZE]; returns out. */
char *hook_point_name(struct hook_point hook, char out[HOOK_NAME_SIZE]);

/* Floats per token. */
size_t hook_point_width(struct hook_point hook, const struct model_config *config);

/* True if the model has activations of this kind (gated MLP, learned positions). */
bool hook_kind_exists(enum hook_kind kind, const struct model_config *config);

/* True for kinds that belong to a layer. */
bool hook_kind_has_layer(enum hook_kind kind);

#endif
