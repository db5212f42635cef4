#include "worker/model/forward_parts.h"

static struct hook_source rows_of(const float *values, size_t width)
{
    return (struct hook_source){.values = values, .width = width, .ld = width};
}

static struct edit_source writable(float *values, size_t width)
{
    return (struct edit_source){.values = values, .width = width, .ld = width};
}

/* y = x W over the part, W a map of the layer. */
struct linear_run {
    enum layer_map map;
    size_t layer, n_in, n_out;
    const float *x;
    float *y;
};

static status_t run_linear(struct forward *f, const struct linear_run *run, struct error *err)
{
    struct matmul_params p = {
        .x = run->x, .y = run->y, .ld_x = run->n_in, .ld_y = run->n_out, .n_rows = f->n_padded};
    const status_t status = forward_map(f, run->layer, run->map, &p.weights, err);
    return status == ST_OK ? f->ops->matmul(f->exec, &p, err) : status;
}

/* normed = norm(residual); offers the value before weight and bias to `hook` if it is asked. */
static status_t run_norm(struct forward *f, const struct norm_weights *w, enum hook_kind hook,
                         size_t layer, struct error *err)
{
    struct norm_params p = {.kind = f->config->family->norm,
                            .x = f->residual,
                            .y = f->normed,
                            .eps = f->config->norm_eps,
                            .n_rows = f->n_tokens,
                            .d = f->config->d_model};
    if (forward_is_asked(f, hook, layer)) {
        status_t status = f->ops->norm(f->exec, &p, err);
        if (status == ST_OK)
            status = forward_offer(f, hook, layer, rows_of(f->normed, f->config->d_model), err);
        if (status != ST_OK) return status;
    }
    p.weight = w->weight;
    p.bias = w->bias;
    return f->ops->norm(f->exec, &p, err);
}

status_t forward_embed(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    const struct hook_source out = rows_of(f->residual, c->d_model);
    struct embed_params p = {.tokens = f->tokens + f->first_row * f->n_ctx,
                             .token_table = f->weights->token_embed,
                             .out = f->residual,
                             .n_rows = f->n_tokens,
                             .n_ctx = f->n_ctx,
                             .d_model = c->d_model};
    status_t status = ST_OK;
    if (forward_is_asked(f, HOOK_EMBED, 0)) {
        status = f->ops->embed(f->exec, &p, err);
        if (status == ST_OK) status = forward_offer(f, HOOK_EMBED, 0, out, err);
    }
    p.position_table = f->weights->position_embed;
    if (forward_is_asked(f, HOOK_POS_EMBED, 0) && status == ST_OK) {
        p.token_table = NULL;
        status = f->ops->embed(f->exec, &p, err);
        if (status == ST_OK) status = forward_offer(f, HOOK_POS_EMBED, 0, out, err);
        p.token_table = f->weights->token_embed;
    }
    if (status != ST_OK || forward_is_complete(f)) return status;
    return f->ops->embed(f->exec, &p, err);
}

static status_t settle_qkv(struct forward *f, size_t layer, struct error *err)
{
    const struct model_config *c = f->config;
    const size_t ld = forward_width_qkv(c), d_q = c->n_heads * c->d_head,
                 d_kv = c->n_kv_heads * c->d_head;
    const struct edit_source q = {.values = f->qkv, .width = d_q, .ld = ld},
                             k = {.values = f->qkv + d_q, .width = d_kv, .ld = ld},
                             v = {.values = f->qkv + d_q + d_kv, .width = d_kv, .ld = ld};
    status_t status = forward_settle(f, HOOK_Q, layer, q, err);
    if (status == ST_OK) status = forward_settle(f, HOOK_K, layer, k, err);
    return status == ST_OK ? forward_settle(f, HOOK_V, layer, v, err) : status;
}

static status_t run_rotary(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    struct rotate_params p = {.x = f->qkv,
                              .cos = f->rope_cos + f->first_position * (c->d_head / 2),
                              .sin = f->rope_sin + f->first_position * (c->d_head / 2),
                              .n_rows = f->n_tokens,
                              .n_ctx = f->n_ctx,
                              .n_heads = c->n_heads + c->n_kv_heads, /* q and k lie together */
                              .d_head = c->d_head,
                              .ld = forward_width_qkv(c)};
    return f->ops->rotate(f->exec, &p, err);
}

struct attend_params forward_attend_params(const struct forward *f, size_t layer)
{
    const struct model_config *c = f->config;
    const size_t d_q = c->n_heads * c->d_head, d_kv = c->n_kv_heads * c->d_head;
    return (struct attend_params){.q = f->qkv,
                                  .k = f->qkv + d_q,
                                  .v = f->qkv + d_q + d_kv,
                                  .z = f->z,
                                  .lengths = f->input->row_lengths + f->first_row,
                                  .n_sequences = f->n_rows,
                                  .n_ctx = f->n_ctx,
                                  .n_heads = c->n_heads,
                                  .n_kv_heads = c->n_kv_heads,
                                  .d_head = c->d_head,
                                  .ld = forward_width_qkv(c),
                                  .scale = model_config_attention_scale(c, layer)};
}

static status_t run_attend(struct forward *f, size_t layer, struct error *err)
{
    const struct attend_params p = forward_attend_params(f, layer);
    return f->ops->attend(f->exec, &p, err);
}

/* delta as the output of attention or MLP, offered with its bias. Where it is edited the bias is
 * added first, and *bias becomes NULL. */
static status_t settle_delta(struct forward *f, enum hook_kind kind, size_t layer,
                             const float **bias, struct error *err)
{
    const size_t d = f->config->d_model;
    struct hook_source out = rows_of(f->delta, d);
    out.bias = *bias;
    if (!forward_is_edited(f, kind, layer)) return forward_offer(f, kind, layer, out, err);
    const struct add_params add = {.a = f->delta,
                                   .bias = *bias,
                                   .out = f->delta,
                                   .n_rows = f->n_tokens,
                                   .d = d,
                                   .ld_a = d,
                                   .ld_out = d};
    const status_t status = *bias ? f->ops->add(f->exec, &add, err) : ST_OK;
    *bias = NULL;
    return status == ST_OK ? forward_settle(f, kind, layer, writable(f->delta, d), err) : status;
}

/* residual += delta + bias */
static status_t run_residual(struct forward *f, const float *bias, struct error *err)
{
    const size_t d = f->config->d_model;
    const struct add_params p = {.a = f->residual,
                                 .b = f->delta,
                                 .bias = bias,
                                 .out = f->residual,
                                 .n_rows = f->n_tokens,
                                 .d = d,
                                 .ld_a = d,
                                 .ld_out = d};
    return f->ops->add(f->exec, &p, err);
}

/* From the normed stream to what attention reads. */
static status_t run_qkv(struct forward *f, const struct layer_weights *w, size_t layer,
                        struct error *err)
{
    const struct model_config *c = f->config;
    const size_t width = forward_width_qkv(c);
    const struct linear_run run = {LAYER_QKV, layer, c->d_model, width, f->normed, f->qkv};
    status_t status = run_linear(f, &run, err);
    if (status == ST_OK && w->qkv.bias) {
        const struct add_params bias = {.a = f->qkv,
                                        .bias = w->qkv.bias,
                                        .out = f->qkv,
                                        .n_rows = f->n_tokens,
                                        .d = width,
                                        .ld_a = width,
                                        .ld_out = width};
        status = f->ops->add(f->exec, &bias, err);
    }
    if (status == ST_OK) status = settle_qkv(f, layer, err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    return c->family->has_rotary ? run_rotary(f, err) : ST_OK;
}

status_t forward_to_qkv(struct forward *f, size_t layer, struct error *err)
{
    const struct layer_weights *w = &f->weights->layers[layer];
    const size_t d = f->config->d_model;
    status_t status = forward_settle(f, HOOK_RESID_PRE, layer, writable(f->residual, d), err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    status = run_norm(f, &w->norm_1, HOOK_LN1_NORMALIZED, layer, err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    return run_qkv(f, w, layer, err);
}

status_t forward_to_heads(struct forward *f, size_t layer, struct error *err)
{
    const status_t status = forward_to_qkv(f, layer, err);
    return status != ST_OK || forward_is_complete(f) ? status : run_attend(f, layer, err);
}

status_t forward_settle_heads(struct forward *f, size_t layer, struct error *err)
{
    const size_t d_z = f->config->n_heads * f->config->d_head;
    return forward_settle(f, HOOK_Z, layer, writable(f->z, d_z), err);
}

status_t forward_to_mid(struct forward *f, size_t layer, struct error *err)
{
    const struct layer_weights *w = &f->weights->layers[layer];
    const float *bias = w->attn_out.bias;
    const size_t d = f->config->d_model;
    const struct linear_run run = {LAYER_ATTN_OUT, layer, w->attn_out.n_in, d, f->z, f->delta};
    status_t status = run_linear(f, &run, err);
    if (status == ST_OK) status = settle_delta(f, HOOK_ATTN_OUT, layer, &bias, err);
    return status == ST_OK ? run_residual(f, bias, err) : status;
}

/* From the normed stream to mlp_post. */
static status_t run_neurons(struct forward *f, const struct layer_weights *w, size_t layer,
                            struct error *err)
{
    const struct model_config *c = f->config;
    const bool is_gated = c->family->tensors.mlp_gate != NULL;
    const size_t ld = forward_width_mlp_in(c);
    const float *bias = w->mlp_in.bias;
    const struct hook_source pre = {
        .values = f->mlp_pre, .bias = bias, .width = c->d_mlp, .ld = ld};
    const struct hook_source linear = {.values = f->mlp_pre + c->d_mlp,
                                       .bias = bias ? bias + c->d_mlp : NULL,
                                       .width = c->d_mlp,
                                       .ld = ld};
    const struct activate_params p = {.kind = c->activation,
                                      .pre = f->mlp_pre,
                                      .bias = bias,
                                      .up = is_gated ? linear.values : NULL,
                                      .up_bias = is_gated ? linear.bias : NULL,
                                      .out = f->mlp_post,
                                      .n_rows = f->n_tokens,
                                      .d = c->d_mlp,
                                      .ld_pre = ld,
                                      .ld_out = c->d_mlp};
    const struct linear_run run = {LAYER_MLP_IN, layer, c->d_model, ld, f->normed, f->mlp_pre};
    status_t status = run_linear(f, &run, err);
    if (status == ST_OK) status = forward_offer(f, HOOK_MLP_PRE, layer, pre, err);
    if (status == ST_OK && is_gated)
        status = forward_offer(f, HOOK_MLP_PRE_LINEAR, layer, linear, err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    status = f->ops->activate(f->exec, &p, err);
    if (status == ST_OK)
        status = forward_settle(f, HOOK_MLP_POST, layer, writable(f->mlp_post, c->d_mlp), err);
    return status;
}

status_t forward_to_mlp(struct forward *f, size_t layer, struct error *err)
{
    const struct layer_weights *w = &f->weights->layers[layer];
    const struct model_config *c = f->config;
    status_t status =
        forward_settle(f, HOOK_RESID_MID, layer, writable(f->residual, c->d_model), err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    status = run_norm(f, &w->norm_2, HOOK_LN2_NORMALIZED, layer, err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    status = run_neurons(f, w, layer, err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    const struct linear_run run = {LAYER_MLP_OUT, layer,       c->d_mlp,
                                   c->d_model,    f->mlp_post, f->delta};
    return run_linear(f, &run, err);
}

status_t forward_to_post(struct forward *f, size_t layer, struct error *err)
{
    const float *bias = f->weights->layers[layer].mlp_out.bias;
    const size_t d = f->config->d_model;
    status_t status = settle_delta(f, HOOK_MLP_OUT, layer, &bias, err);
    if (status == ST_OK) status = run_residual(f, bias, err);
    return status == ST_OK
               ? forward_settle(f, HOOK_RESID_POST, layer, writable(f->residual, d), err)
               : status;
}

/* One layer, in place on the residual stream; stops early once every hook is served. */
status_t forward_layer(struct forward *f, size_t layer, struct error *err)
{
    static forward_stage_fn *const stages[] = {forward_to_heads, forward_settle_heads,
                                               forward_to_mid, forward_to_mlp, forward_to_post};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        const status_t status = stages[i](f, layer, err);
        if (status != ST_OK || forward_is_complete(f)) return status;
    }
    if (f->progress) (void)atomic_fetch_add_explicit(f->progress, 1, memory_order_relaxed);
    return ST_OK;
}

static status_t reserve_logits(struct forward *f, size_t n_rows, struct error *err)
{
    if (n_rows <= f->n_logits) return ST_OK;
    f->ops->release(f->backend, f->logits);
    f->logits = NULL;
    f->n_logits = 0;
    const status_t status = forward_floats(f, n_rows, f->config->n_vocab, &f->logits, err);
    if (status == ST_OK) f->n_logits = n_rows;
    return status;
}

/* Logits of n_rows rows of `normed`, offered as rows first and on of n_all (0: those of the
 * part). */
static status_t run_logits(struct forward *f, size_t n_rows, size_t first, size_t n_all,
                           struct error *err)
{
    const struct model_config *c = f->config;
    const size_t n_padded = (n_rows + f->row_block - 1) / f->row_block * f->row_block;
    struct hook_source out = {.width = c->n_vocab,
                              .ld = c->n_vocab,
                              .n_rows = n_rows,
                              .first_row_out = first,
                              .n_rows_out = n_all};
    struct matmul_params product = {
        .x = f->normed, .ld_x = c->d_model, .ld_y = c->n_vocab, .n_rows = n_padded};
    status_t status = model_head(f->model, &product.weights, err);
    if (status == ST_OK) status = reserve_logits(f, n_padded, err);
    if (status != ST_OK) return status;
    product.y = f->logits;
    out.values = f->logits;
    status = f->ops->matmul(f->exec, &product, err);
    return status == ST_OK ? forward_offer(f, HOOK_LOGITS, 0, out, err) : status;
}

status_t forward_gather(struct forward *f, const uint32_t *rows, size_t n, size_t first,
                        struct error *err)
{
    const size_t d = f->config->d_model;
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = f->ops->copy(f->exec, f->delta + (first + i) * d, f->stream + rows[i] * d,
                              d * sizeof(float), err);
    return status;
}

status_t forward_norm_gathered(struct forward *f, size_t n, struct error *err)
{
    const struct norm_params norm = {.kind = f->config->family->norm,
                                     .x = f->delta,
                                     .weight = f->weights->norm_final.weight,
                                     .bias = f->weights->norm_final.bias,
                                     .y = f->normed,
                                     .eps = f->config->norm_eps,
                                     .n_rows = n,
                                     .d = f->config->d_model};
    return f->ops->norm(f->exec, &norm, err);
}

status_t forward_head_rows(struct forward *f, struct error *err)
{
    const size_t n_all = f->input->n_head_rows, n_seen = f->n_seen;
    status_t status = ST_OK;
    for (size_t first = 0; first < n_all && status == ST_OK; first += f->n_room) {
        const size_t n = n_all - first < f->n_room ? n_all - first : f->n_room;
        f->n_seen = n_seen;
        status = forward_gather(f, f->input->head_rows + first, n, 0, err);
        if (status == ST_OK) status = forward_norm_gathered(f, n, err);
        if (status == ST_OK) status = run_logits(f, n, first, n_all, err);
    }
    return status;
}

status_t forward_final_norm(struct forward *f, struct error *err)
{
    return run_norm(f, &f->weights->norm_final, HOOK_LN_FINAL_NORMALIZED, 0, err);
}

status_t forward_part_logits(struct forward *f, struct error *err)
{
    return run_logits(f, f->n_tokens, 0, 0, err);
}

status_t forward_head(struct forward *f, struct error *err)
{
    const status_t status = forward_final_norm(f, err);
    if (status != ST_OK || forward_is_complete(f)) return status;
    return f->input->head_rows ? forward_head_rows(f, err) : forward_part_logits(f, err);
}
