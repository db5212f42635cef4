#include "worker/model/forward.h"

#include "common/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROW_BLOCK = 256, SMALLEST_ROW_BLOCK = 16 };

struct hook_buffer {
    float *device; /* [n_tokens, width] */
    float *host;   /* the same array where device memory is host memory */
    size_t n_floats;
};

struct forward {
    struct model *model;
    const struct model_config *config;
    const struct weights *weights;
    const struct backend_ops *ops;
    struct backend *backend;
    struct exec *exec;
    atomic_uint_fast64_t *progress;
    size_t n_rows, n_ctx, n_tokens, n_padded; /* n_padded: n_tokens up to whole row blocks */
    /* device, [n_padded, ...]; rows past n_tokens stay finite */
    float *residual, *normed, *qkv, *z, *delta, *mlp_pre, *mlp_post, *logits;
    float *rope_cos, *rope_sin; /* device [n_ctx, d_head / 2] */
    uint32_t *tokens;           /* host [n_tokens], padding 0 */
    struct hook_buffer buffers[FORWARD_MAX_HOOKS];
    /* of the run under way: */
    const struct forward_input *input;
    const struct hook_point *hooks;
    size_t n_hooks, n_seen;
    const float **out_acts;
};

void forward_destroy(struct forward **pointer)
{
    struct forward *f = *pointer;
    if (!f) return;
    float *const device[] = {f->residual, f->normed,   f->qkv,    f->z,        f->delta,
                             f->mlp_pre,  f->mlp_post, f->logits, f->rope_cos, f->rope_sin};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        f->ops->release(f->backend, device[i]);
    for (size_t i = 0; i < FORWARD_MAX_HOOKS; i++) {
        f->ops->release(f->backend, f->buffers[i].device);
        if (!f->ops->memory_is_host) free(f->buffers[i].host);
    }
    if (f->exec) f->ops->exec_destroy(f->exec);
    free(f->tokens);
    free(f);
    *pointer = NULL;
}

static status_t device_floats(struct forward *f, size_t rows, size_t columns, float **out,
                              struct error *err)
{
    size_t n_bytes;
    void *memory;
    if (!size_tensor(rows, columns, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu x %zu floats", rows, columns);
    const status_t status = f->ops->alloc(f->backend, n_bytes, &memory, err);
    if (status == ST_OK) *out = memory;
    return status;
}

static size_t width_qkv(const struct model_config *c)
{
    return (c->n_heads + 2 * c->n_kv_heads) * c->d_head;
}

static size_t width_mlp_in(const struct model_config *c)
{
    return c->family->tensors.mlp_gate ? 2 * c->d_mlp : c->d_mlp;
}

static status_t make_buffers(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    const struct {
        float **buffer;
        size_t width;
    } PLAN[] = {{&f->residual, c->d_model}, {&f->normed, c->d_model},
                {&f->qkv, width_qkv(c)},    {&f->z, c->n_heads * c->d_head},
                {&f->delta, c->d_model},    {&f->mlp_pre, width_mlp_in(c)},
                {&f->mlp_post, c->d_mlp}};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof PLAN / sizeof PLAN[0] && status == ST_OK; i++)
        status = device_floats(f, f->n_padded, PLAN[i].width, PLAN[i].buffer, err);
    if (status != ST_OK) return status;
    f->tokens = calloc(f->n_tokens, sizeof *f->tokens);
    return f->tokens ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu tokens", f->n_tokens);
}

static status_t make_rope(struct forward *f, struct error *err)
{
    const size_t n = f->n_ctx * (f->config->d_head / 2), n_bytes = n * sizeof(float);
    float *tables = malloc(2 * n_bytes);
    status_t status = tables ? ST_OK : error_set(err, ST_NO_MEMORY, "rotary tables");
    if (status == ST_OK) model_config_rope_tables(f->config, f->n_ctx, tables, tables + n);
    if (status == ST_OK) status = device_floats(f, n, 1, &f->rope_cos, err);
    if (status == ST_OK) status = device_floats(f, n, 1, &f->rope_sin, err);
    if (status == ST_OK) status = f->ops->upload(f->exec, f->rope_cos, tables, n_bytes, err);
    if (status == ST_OK) status = f->ops->upload(f->exec, f->rope_sin, tables + n, n_bytes, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    free(tables);
    return status;
}

/* The wanted block, or the default one, no larger than the batch needs. */
static size_t choose_row_block(size_t wanted, size_t n_tokens)
{
    if (wanted) return wanted;
    size_t block = DEFAULT_ROW_BLOCK;
    while (block > SMALLEST_ROW_BLOCK && block / 2 >= n_tokens) block /= 2;
    return block;
}

static status_t check_shape(const struct forward_params *p, struct error *err)
{
    const struct model_config *c = model_config(p->model);
    size_t n_tokens;
    if (!p->n_rows || !p->n_ctx)
        return error_set(err, ST_BAD_INPUT, "a batch of %zu rows x %zu tokens", p->n_rows,
                         p->n_ctx);
    if (p->n_ctx > c->n_positions)
        return error_set(err, ST_BAD_INPUT, "context %zu is over the model's %zu positions",
                         p->n_ctx, c->n_positions);
    if (!size_mul(p->n_rows, p->n_ctx, &n_tokens) || n_tokens > FORWARD_MAX_TOKENS ||
        p->row_block > BACKEND_MAX_ROW_BLOCK)
        return error_set(err, ST_TOO_LARGE, "a batch of %zu rows x %zu tokens", p->n_rows,
                         p->n_ctx);
    return ST_OK;
}

status_t forward_create(struct forward **out, const struct forward_params *p, struct error *err)
{
    status_t status = check_shape(p, err);
    if (status != ST_OK) return status;
    struct forward *f = calloc(1, sizeof *f);
    if (!f) return error_set(err, ST_NO_MEMORY, "forward");
    f->model = p->model;
    f->config = model_config(p->model);
    f->weights = model_weights(p->model);
    f->backend = model_backend(p->model);
    f->ops = f->backend->ops;
    f->progress = p->progress;
    f->n_rows = p->n_rows;
    f->n_ctx = p->n_ctx;
    f->n_tokens = p->n_rows * p->n_ctx;
    const size_t block = choose_row_block(p->row_block, f->n_tokens);
    f->n_padded = (f->n_tokens + block - 1) / block * block;
    const struct exec_params exec = {.row_block = block};
    status = f->ops->exec_create(&f->exec, f->backend, &exec, err);
    if (status == ST_OK) status = make_buffers(f, err);
    if (status == ST_OK && f->config->family->has_rotary) status = make_rope(f, err);
    if (status != ST_OK) {
        forward_destroy(&f);
        return status;
    }
    *out = f;
    return ST_OK;
}

struct exec *forward_exec(struct forward *forward)
{
    return forward->exec;
}

/* --- hooks ------------------------------------------------------------------------------ */

/* What a hook sees: n_tokens rows of `width` values, `ld` apart, plus a bias where the value is
 * defined with one that has not been added yet. */
struct hook_source {
    const float *values; /* device */
    const float *bias;   /* device [width] or NULL */
    size_t width, ld;
};

static status_t buffer_reserve_floats(struct forward *f, struct hook_buffer *b, size_t width,
                                      struct error *err)
{
    const size_t n_floats = f->n_tokens * width;
    if (n_floats <= b->n_floats) return ST_OK;
    f->ops->release(f->backend, b->device);
    if (!f->ops->memory_is_host) free(b->host);
    *b = (struct hook_buffer){0};
    const status_t status = device_floats(f, f->n_tokens, width, &b->device, err);
    if (status != ST_OK) return status;
    b->host = f->ops->memory_is_host ? b->device : malloc(n_floats * sizeof *b->host);
    if (!b->host) return error_set(err, ST_NO_MEMORY, "activations of %zu columns", width);
    b->n_floats = n_floats;
    return ST_OK;
}

static status_t collect(struct forward *f, size_t index, const struct hook_source *source,
                        struct error *err)
{
    struct hook_buffer *b = &f->buffers[index];
    status_t status = buffer_reserve_floats(f, b, source->width, err);
    if (status != ST_OK) return status;
    const struct add_params copy = {.a = source->values,
                                    .bias = source->bias,
                                    .out = b->device,
                                    .n_rows = f->n_tokens,
                                    .d = source->width,
                                    .ld_a = source->ld,
                                    .ld_out = source->width};
    status = f->ops->add(f->exec, &copy, err);
    if (status == ST_OK && b->host != b->device)
        status = f->ops->download(f->exec, b->host, b->device,
                                  f->n_tokens * source->width * sizeof(float), err);
    f->out_acts[index] = b->host;
    f->n_seen++;
    return status;
}

static bool is_asked(const struct forward *f, enum hook_kind kind, size_t layer)
{
    for (size_t i = 0; i < f->n_hooks; i++) {
        if (f->hooks[i].kind == kind && f->hooks[i].layer == layer) return true;
    }
    return false;
}

/* Give `source` to every hook of that kind and layer. */
static status_t offer(struct forward *f, enum hook_kind kind, size_t layer,
                      struct hook_source source, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < f->n_hooks && status == ST_OK; i++) {
        if (f->hooks[i].kind == kind && f->hooks[i].layer == layer)
            status = collect(f, i, &source, err);
    }
    return status;
}

static bool is_complete(const struct forward *f)
{
    return f->n_seen == f->n_hooks;
}

static struct hook_source rows_of(const float *values, size_t width)
{
    return (struct hook_source){.values = values, .width = width, .ld = width};
}

/* --- the pass --------------------------------------------------------------------------- */

static status_t run_linear(struct forward *f, const struct packed *weights, const float *x,
                           size_t n_in, float *y, size_t n_out, struct error *err)
{
    const struct matmul_params p = {
        .weights = weights, .x = x, .y = y, .ld_x = n_in, .ld_y = n_out, .n_rows = f->n_padded};
    return f->ops->matmul(f->exec, &p, err);
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
    if (is_asked(f, hook, layer)) {
        status_t status = f->ops->norm(f->exec, &p, err);
        if (status == ST_OK)
            status = offer(f, hook, layer, rows_of(f->normed, f->config->d_model), err);
        if (status != ST_OK) return status;
    }
    p.weight = w->weight;
    p.bias = w->bias;
    return f->ops->norm(f->exec, &p, err);
}

static status_t run_embed(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    const struct hook_source out = rows_of(f->residual, c->d_model);
    struct embed_params p = {.tokens = f->tokens,
                             .token_table = f->weights->token_embed,
                             .out = f->residual,
                             .n_rows = f->n_tokens,
                             .n_ctx = f->n_ctx,
                             .d_model = c->d_model};
    status_t status = ST_OK;
    if (is_asked(f, HOOK_EMBED, 0)) {
        status = f->ops->embed(f->exec, &p, err);
        if (status == ST_OK) status = offer(f, HOOK_EMBED, 0, out, err);
    }
    p.position_table = f->weights->position_embed;
    if (is_asked(f, HOOK_POS_EMBED, 0) && status == ST_OK) {
        p.token_table = NULL;
        status = f->ops->embed(f->exec, &p, err);
        if (status == ST_OK) status = offer(f, HOOK_POS_EMBED, 0, out, err);
        p.token_table = f->weights->token_embed;
    }
    if (status != ST_OK || is_complete(f)) return status;
    return f->ops->embed(f->exec, &p, err);
}

static status_t offer_qkv(struct forward *f, size_t layer, struct error *err)
{
    const struct model_config *c = f->config;
    const size_t ld = width_qkv(c), d_q = c->n_heads * c->d_head, d_kv = c->n_kv_heads * c->d_head;
    const struct hook_source q = {.values = f->qkv, .width = d_q, .ld = ld},
                             k = {.values = f->qkv + d_q, .width = d_kv, .ld = ld},
                             v = {.values = f->qkv + d_q + d_kv, .width = d_kv, .ld = ld};
    status_t status = offer(f, HOOK_Q, layer, q, err);
    if (status == ST_OK) status = offer(f, HOOK_K, layer, k, err);
    return status == ST_OK ? offer(f, HOOK_V, layer, v, err) : status;
}

static status_t run_rotary(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    struct rotate_params p = {.x = f->qkv,
                              .cos = f->rope_cos,
                              .sin = f->rope_sin,
                              .n_rows = f->n_tokens,
                              .n_ctx = f->n_ctx,
                              .n_heads = c->n_heads + c->n_kv_heads, /* q and k lie together */
                              .d_head = c->d_head,
                              .ld = width_qkv(c)};
    return f->ops->rotate(f->exec, &p, err);
}

static float attention_scale(const struct model_config *c, size_t layer)
{
    float scale = c->is_attention_scaled ? 1.0f / sqrtf((float)c->d_head) : 1.0f;
    if (c->is_scaled_by_layer) scale /= (float)(layer + 1);
    return scale;
}

static status_t run_attend(struct forward *f, size_t layer, struct error *err)
{
    const struct model_config *c = f->config;
    const size_t d_q = c->n_heads * c->d_head, d_kv = c->n_kv_heads * c->d_head;
    const struct attend_params p = {.q = f->qkv,
                                    .k = f->qkv + d_q,
                                    .v = f->qkv + d_q + d_kv,
                                    .z = f->z,
                                    .lengths = f->input->row_lengths,
                                    .n_sequences = f->n_rows,
                                    .n_ctx = f->n_ctx,
                                    .n_heads = c->n_heads,
                                    .n_kv_heads = c->n_kv_heads,
                                    .d_head = c->d_head,
                                    .ld = width_qkv(c),
                                    .scale = attention_scale(c, layer)};
    return f->ops->attend(f->exec, &p, err);
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

/* From the normed stream to z. */
static status_t run_heads(struct forward *f, const struct layer_weights *w, size_t layer,
                          struct error *err)
{
    const struct model_config *c = f->config;
    const size_t width = width_qkv(c);
    status_t status =
        run_linear(f, w->qkv.weights, f->normed, c->d_model, f->qkv, width, err);
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
    if (status == ST_OK) status = offer_qkv(f, layer, err);
    if (status != ST_OK || is_complete(f)) return status;
    if (c->family->has_rotary) status = run_rotary(f, err);
    if (status == ST_OK) status = run_attend(f, layer, err);
    if (status == ST_OK)
        status = offer(f, HOOK_Z, layer, rows_of(f->z, c->n_heads * c->d_head), err);
    return status;
}

static status_t run_attention(struct forward *f, const struct layer_weights *w, size_t layer,
                              struct error *err)
{
    const size_t d = f->config->d_model;
    status_t status = run_norm(f, &w->norm_1, HOOK_LN1_NORMALIZED, layer, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = run_heads(f, w, layer, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = run_linear(f, w->attn_out.weights, f->z, w->attn_out.n_in, f->delta, d, err);
    struct hook_source out = rows_of(f->delta, d);
    out.bias = w->attn_out.bias;
    if (status == ST_OK) status = offer(f, HOOK_ATTN_OUT, layer, out, err);
    if (status == ST_OK) status = run_residual(f, w->attn_out.bias, err);
    if (status == ST_OK)
        status = offer(f, HOOK_RESID_MID, layer, rows_of(f->residual, d), err);
    return status;
}

/* From the normed stream to mlp_post. */
static status_t run_neurons(struct forward *f, const struct layer_weights *w, size_t layer,
                            struct error *err)
{
    const struct model_config *c = f->config;
    const bool is_gated = c->family->tensors.mlp_gate != NULL;
    const size_t ld = width_mlp_in(c);
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
    status_t status =
        run_linear(f, w->mlp_in.weights, f->normed, c->d_model, f->mlp_pre, ld, err);
    if (status == ST_OK) status = offer(f, HOOK_MLP_PRE, layer, pre, err);
    if (status == ST_OK && is_gated)
        status = offer(f, HOOK_MLP_PRE_LINEAR, layer, linear, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = f->ops->activate(f->exec, &p, err);
    if (status == ST_OK)
        status = offer(f, HOOK_MLP_POST, layer, rows_of(f->mlp_post, c->d_mlp), err);
    return status;
}

static status_t run_mlp(struct forward *f, const struct layer_weights *w, size_t layer,
                        struct error *err)
{
    const struct model_config *c = f->config;
    status_t status = run_norm(f, &w->norm_2, HOOK_LN2_NORMALIZED, layer, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = run_neurons(f, w, layer, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = run_linear(f, w->mlp_out.weights, f->mlp_post, c->d_mlp, f->delta, c->d_model, err);
    struct hook_source out = rows_of(f->delta, c->d_model);
    out.bias = w->mlp_out.bias;
    if (status == ST_OK) status = offer(f, HOOK_MLP_OUT, layer, out, err);
    if (status == ST_OK) status = run_residual(f, w->mlp_out.bias, err);
    if (status == ST_OK)
        status = offer(f, HOOK_RESID_POST, layer, rows_of(f->residual, c->d_model), err);
    return status;
}

/* One layer, in place on the residual stream; stops early once every hook is served. */
static status_t run_layer(struct forward *f, size_t layer, struct error *err)
{
    const struct layer_weights *w = &f->weights->layers[layer];
    status_t status =
        offer(f, HOOK_RESID_PRE, layer, rows_of(f->residual, f->config->d_model), err);
    if (status != ST_OK || is_complete(f)) return status;
    status = run_attention(f, w, layer, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = run_mlp(f, w, layer, err);
    if (f->progress) (void)atomic_fetch_add_explicit(f->progress, 1, memory_order_relaxed);
    return status;
}

static status_t run_head(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    const struct packed *head;
    status_t status = run_norm(f, &f->weights->norm_final, HOOK_LN_FINAL_NORMALIZED, 0, err);
    if (status != ST_OK || is_complete(f)) return status;
    status = model_head(f->model, &head, err);
    if (status == ST_OK && !f->logits)
        status = device_floats(f, f->n_padded, c->n_vocab, &f->logits, err);
    if (status == ST_OK)
        status = run_linear(f, head, f->normed, c->d_model, f->logits, c->n_vocab, err);
    if (status == ST_OK) status = offer(f, HOOK_LOGITS, 0, rows_of(f->logits, c->n_vocab), err);
    return status;
}

static status_t take_tokens(struct forward *f, const struct forward_input *input,
                            struct error *err)
{
    for (size_t r = 0; r < f->n_rows; r++) {
        const uint32_t *from = input->tokens + r * f->n_ctx;
        uint32_t *to = f->tokens + r * f->n_ctx;
        const size_t length = input->row_lengths[r];
        if (length > f->n_ctx)
            return error_set(err, ST_BAD_INPUT, "row %zu has %zu tokens, the batch %zu", r,
                             length, f->n_ctx);
        for (size_t t = 0; t < length; t++) {
            if (from[t] >= f->config->n_vocab)
                return error_set(err, ST_BAD_INPUT, "row %zu, token %zu: id %u of %zu", r, t,
                                 from[t], f->config->n_vocab);
            to[t] = from[t];
        }
        memset(to + length, 0, (f->n_ctx - length) * sizeof *to);
    }
    return ST_OK;
}

static status_t check_hooks(const struct forward *f, const struct forward_input *input,
                            const struct hook_point *hooks, size_t n_hooks, struct error *err)
{
    if (!n_hooks || n_hooks > FORWARD_MAX_HOOKS)
        return error_set(err, ST_BAD_INPUT, "%zu hook points, at most %d", n_hooks,
                         FORWARD_MAX_HOOKS);
    if (input->first_layer > f->config->n_layers || (input->first_layer && !input->residual))
        return error_set(err, ST_BAD_INPUT, "a run from layer %zu of %zu", input->first_layer,
                         f->config->n_layers);
    for (size_t i = 0; i < n_hooks; i++) {
        const bool is_late = hook_kind_has_layer(hooks[i].kind)
                                 ? hooks[i].layer >= input->first_layer
                                 : hooks[i].kind >= HOOK_LN_FINAL_NORMALIZED;
        if ((input->residual && !is_late) || hooks[i].layer >= f->config->n_layers ||
            !hook_kind_exists(hooks[i].kind, f->config))
            return error_set(err, ST_BAD_INPUT, "hook point %zu does not lie on this run", i);
    }
    return ST_OK;
}

status_t forward_run(struct forward *f, const struct forward_input *input,
                     const struct hook_point *hooks, size_t n_hooks, const float **out_acts,
                     struct error *err)
{
    status_t status = check_hooks(f, input, hooks, n_hooks, err);
    if (status == ST_OK && !input->residual) status = take_tokens(f, input, err);
    if (status != ST_OK) return status;
    f->input = input;
    f->hooks = hooks;
    f->n_hooks = n_hooks;
    f->n_seen = 0;
    f->out_acts = out_acts;
    if (input->residual)
        status = f->ops->upload(f->exec, f->residual, input->residual,
                                f->n_tokens * f->config->d_model * sizeof(float), err);
    else
        status = run_embed(f, err);
    for (size_t i = input->first_layer;
         i < f->config->n_layers && status == ST_OK && !is_complete(f); i++)
        status = run_layer(f, i, err);
    if (status == ST_OK && !is_complete(f)) status = run_head(f, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    return status;
}

status_t forward_head_norms(struct forward *f, size_t layer, const float *z, size_t n_tokens,
                            float *out, struct error *err)
{
    const struct model_config *c = f->config;
    const float *factors;
    /* delta, d_model wide, receives the norms */
    if (n_tokens > f->n_tokens || c->n_heads > c->d_model ||
        !backend_supports(f->backend, BACKEND_HEAD_NORMS))
        return error_set(err, ST_BAD_INPUT, "head norms of %zu tokens", n_tokens);
    status_t status = model_head_factors(f->model, layer, &factors, err);
    if (status == ST_OK)
        status = f->ops->upload(f->exec, f->z, z,
                                n_tokens * c->n_heads * c->d_head * sizeof *z, err);
    const struct head_norms_params p = {.z = f->z,
                                        .factors = factors,
                                        .out = f->delta,
                                        .n_rows = n_tokens,
                                        .n_heads = c->n_heads,
                                        .d_head = c->d_head};
    if (status == ST_OK) status = f->ops->head_norms(f->exec, &p, err);
    if (status == ST_OK)
        status = f->ops->download(f->exec, out, f->delta, n_tokens * c->n_heads * sizeof *out,
                                  err);
    return status;
}
