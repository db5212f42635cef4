#include "worker/model/attribution_parts.h"

/* nodes[g] += sum over the tokens of a . b, of every group of columns; a, b device. */
static status_t score_groups(struct attribution *a, struct group_dots_params p, double *nodes,
                             struct error *err)
{
    struct forward *f = a->forward;
    p.out = a->dots;
    p.n_rows = f->n_tokens;
    status_t status = f->ops->group_dots(f->exec, &p, err);
    if (status == ST_OK)
        status = f->ops->download(f->exec, a->dots_host, a->dots,
                                  p.n_rows * p.n_groups * sizeof *a->dots, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < p.n_rows; r++)
        for (size_t g = 0; g < p.n_groups; g++)
            nodes[g] += (double)a->dots_host[r * p.n_groups + g];
    return ST_OK;
}

/* A node that writes the whole stream. */
static status_t score_stream(struct attribution *a, const float *difference, double *node,
                             struct error *err)
{
    const size_t d = a->forward->config->d_model;
    const struct group_dots_params p = {
        .a = difference, .b = a->d_stream, .n_groups = 1, .d = d, .ld_a = d, .ld_b = d};
    return score_groups(a, p, node, err);
}

/* d_x of a norm whose input is the stream x. */
static status_t norm_backward(struct attribution *a, const struct norm_weights *w, const float *x,
                              float *d_x, struct error *err)
{
    struct forward *f = a->forward;
    const struct norm_backward_params p = {.forward = {.kind = f->config->family->norm,
                                                       .x = x,
                                                       .weight = w->weight,
                                                       .eps = f->config->norm_eps,
                                                       .n_rows = f->n_tokens,
                                                       .d = f->config->d_model},
                                           .d_y = a->d_normed,
                                           .d_x = d_x};
    return f->ops->norm_backward(f->exec, &p, err);
}

/* d_stream += d_x */
static status_t join_stream(struct attribution *a, const float *d_x, struct error *err)
{
    struct forward *f = a->forward;
    const struct blend_params p = {a->d_stream, d_x, a->d_stream, 1.0f,
                                   f->n_tokens * f->config->d_model};
    return f->ops->blend(f->exec, &p, err);
}

/* From d_logits to d_stream behind the last layer: 0 but at the answers. */
static status_t head_backward(struct attribution *a, struct error *err)
{
    struct forward *f = a->forward;
    const size_t d = f->config->d_model, n = a->input.n_head_rows, block = f->row_block;
    const struct matmul_params product = {.weights = a->weights->head,
                                          .x = a->d_logits,
                                          .y = a->d_normed,
                                          .ld_x = f->config->n_vocab,
                                          .ld_y = d,
                                          .n_rows = (n + block - 1) / block * block};
    struct norm_backward_params norm = {.forward = {.kind = f->config->family->norm,
                                                    .x = f->delta,
                                                    .weight = f->weights->norm_final.weight,
                                                    .eps = f->config->norm_eps,
                                                    .n_rows = n,
                                                    .d = d},
                                        .d_y = a->d_normed,
                                        .d_x = a->d_normed};
    status_t status = f->ops->matmul(f->exec, &product, err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = attribution_copy(a, f->delta + i * d, a->last + a->answer_rows[i] * d, d, err);
    if (status == ST_OK) status = f->ops->norm_backward(f->exec, &norm, err);
    if (status == ST_OK)
        status =
            f->ops->upload(f->exec, a->d_stream, a->zeros, f->n_padded * d * sizeof(float), err);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status =
            attribution_copy(a, a->d_stream + a->answer_rows[i] * d, a->d_normed + i * d, d, err);
    return status == ST_OK ? attribution_copy(a, a->d_last, a->d_stream, f->n_tokens * d, err)
                           : status;
}

/* --- one layer ----------------------------------------------------------------------------- */

/* From d_stream behind the MLP to d_stream before it, by way of layer.d_mid. The layer has been
 * computed forward up to its MLP: mlp_pre and the stream in the middle are there. */
static status_t mlp_backward(struct attribution *a, size_t index, struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const struct layer_weights *w = &f->weights->layers[index];
    const bool is_gated = c->family->tensors.mlp_gate != NULL;
    const size_t ld = forward_width_mlp_in(c);
    const float *bias = w->mlp_in.bias;
    const struct activate_backward_params p = {
        .forward = {.kind = c->activation,
                    .pre = f->mlp_pre,
                    .bias = bias,
                    .up = is_gated ? f->mlp_pre + c->d_mlp : NULL,
                    .up_bias = is_gated && bias ? bias + c->d_mlp : NULL,
                    .n_rows = f->n_tokens,
                    .d = c->d_mlp,
                    .ld_pre = ld},
        .d_out = a->d_mlp_post,
        .d_pre = a->d_mlp_in,
        .d_up = is_gated ? a->d_mlp_in + c->d_mlp : NULL,
        .ld_d_out = c->d_mlp,
        .ld_d = ld};
    const struct attribution_product out = {LAYER_MLP_OUT, index,       c->d_model,
                                            c->d_mlp,      a->d_stream, a->d_mlp_post},
                                     in = {LAYER_MLP_IN, index,       ld,
                                           c->d_model,   a->d_mlp_in, a->d_normed};
    float *d_mid = a->layers[index].d_mid;
    status_t status = attribution_product(a, &out, err);
    if (status == ST_OK) status = f->ops->activate_backward(f->exec, &p, err);
    if (status == ST_OK) status = attribution_product(a, &in, err);
    if (status == ST_OK) status = norm_backward(a, &w->norm_2, f->residual, d_mid, err);
    return status == ST_OK ? join_stream(a, d_mid, err) : status;
}

static status_t attend_backward(struct attribution *a, size_t index, float *d_qkv,
                                struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t d_q = c->n_heads * c->d_head, d_kv = c->n_kv_heads * c->d_head,
                 ld = forward_width_qkv(c);
    const struct attend_backward_params p = {.forward = forward_attend_params(f, index),
                                             .d_z = a->d_z,
                                             .d_q = d_qkv,
                                             .d_k = d_qkv + d_q,
                                             .d_v = d_qkv + d_q + d_kv,
                                             .ld_d = ld};
    return f->ops->attend_backward(f->exec, &p, err);
}

/* Slopes by rotated q and k become those by q and k. */
static status_t rotate_backward(struct attribution *a, float *d_qkv, struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const struct rotate_params p = {.x = d_qkv,
                                    .cos = f->rope_cos,
                                    .sin = a->negative_sine,
                                    .n_rows = f->n_tokens,
                                    .n_ctx = f->n_ctx,
                                    .n_heads = c->n_heads + c->n_kv_heads,
                                    .d_head = c->d_head,
                                    .ld = forward_width_qkv(c)};
    return c->family->has_rotary ? f->ops->rotate(f->exec, &p, err) : ST_OK;
}

/* From d_stream behind attention to d_stream before it; scores heads, keys and values. */
static status_t attention_backward(struct attribution *a, size_t index, double *nodes,
                                   struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const struct attribution_layer *layer = &a->layers[index];
    const size_t d_z = c->n_heads * c->d_head, ld = forward_width_qkv(c),
                 d_kv = 2 * c->n_kv_heads * c->d_head;
    const struct group_dots_params heads = {.a = layer->z,
                                            .b = a->d_z,
                                            .n_groups = c->n_heads,
                                            .d = c->d_head,
                                            .ld_a = d_z,
                                            .ld_b = d_z},
                                   groups = {.a = layer->kv,
                                             .b = layer->d_qkv + d_z,
                                             .n_groups = 2 * c->n_kv_heads,
                                             .d = c->d_head,
                                             .ld_a = d_kv,
                                             .ld_b = ld};
    const struct attribution_product out = {LAYER_ATTN_OUT, index, c->d_model, d_z,
                                            a->d_stream,    a->d_z},
                                     in = {LAYER_QKV,  index,        ld,
                                           c->d_model, layer->d_qkv, a->d_normed};
    status_t status = attribution_product(a, &out, err);
    if (status == ST_OK) status = score_groups(a, heads, nodes, err);
    if (status == ST_OK) status = attend_backward(a, index, layer->d_qkv, err);
    if (status == ST_OK) status = score_groups(a, groups, nodes + c->n_heads, err);
    if (status == ST_OK) status = rotate_backward(a, layer->d_qkv, err);
    if (status == ST_OK) status = attribution_product(a, &in, err);
    if (status == ST_OK)
        status = norm_backward(a, &f->weights->layers[index].norm_1, layer->pre, a->d_normed, err);
    return status == ST_OK ? join_stream(a, a->d_normed, err) : status;
}

static status_t layer_backward(struct attribution *a, size_t index, double *nodes,
                               struct error *err)
{
    struct forward *f = a->forward;
    const struct attribution_layer *layer = &a->layers[index];
    double *layer_nodes = nodes + attribute_layer_node(&a->shape, index);
    double *mlp = layer_nodes + f->config->n_heads + 2 * f->config->n_kv_heads;
    status_t status =
        attribution_copy(a, f->residual, layer->pre, f->n_tokens * f->config->d_model, err);
    if (status == ST_OK) status = forward_to_heads(f, index, err);
    if (status == ST_OK) status = forward_to_mid(f, index, err);
    if (status == ST_OK) status = forward_to_mlp(f, index, err);
    if (status == ST_OK) status = score_stream(a, layer->mlp, mlp, err);
    if (status == ST_OK) status = mlp_backward(a, index, err);
    if (status == ST_OK) status = attention_backward(a, index, layer_nodes, err);
    if (f->progress) (void)atomic_fetch_add_explicit(f->progress, 1, memory_order_relaxed);
    return status;
}

status_t attribution_backward(struct attribution *a, double *nodes, struct error *err)
{
    static const struct hook_point at_the_end = {HOOK_LOGITS, 0};
    struct forward *f = a->forward;
    f->hooks = &at_the_end; /* not yet seen: the stages run to their ends */
    f->n_seen = 0;
    f->order = LAYERS_BACK;
    status_t status = head_backward(a, err);
    for (size_t i = f->config->n_layers; i-- > 0 && status == ST_OK;)
        status = layer_backward(a, i, nodes, err);
    return status == ST_OK ? score_stream(a, a->embed_difference, nodes, err) : status;
}
