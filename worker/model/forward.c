#include "worker/model/forward.h"

#include "common/size.h"
#include "worker/model/forward_parts.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROW_BLOCK = 256, SMALLEST_ROW_BLOCK = 16 };

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
    free(f->edited.host);
    if (f->exec) f->ops->exec_destroy(f->exec);
    free(f->tokens);
    free(f);
    *pointer = NULL;
}

status_t forward_floats(struct forward *f, size_t rows, size_t columns, float **out,
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

size_t forward_width_qkv(const struct model_config *c)
{
    return (c->n_heads + 2 * c->n_kv_heads) * c->d_head;
}

size_t forward_width_mlp_in(const struct model_config *c)
{
    return c->family->tensors.mlp_gate ? 2 * c->d_mlp : c->d_mlp;
}

static status_t make_buffers(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    const struct {
        float **buffer;
        size_t width;
    } PLAN[] = {{&f->residual, c->d_model},      {&f->normed, c->d_model},
                {&f->qkv, forward_width_qkv(c)}, {&f->z, c->n_heads * c->d_head},
                {&f->delta, c->d_model},         {&f->mlp_pre, forward_width_mlp_in(c)},
                {&f->mlp_post, c->d_mlp}};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof PLAN / sizeof PLAN[0] && status == ST_OK; i++)
        status = forward_floats(f, f->n_padded, PLAN[i].width, PLAN[i].buffer, err);
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
    if (status == ST_OK) status = forward_floats(f, n, 1, &f->rope_cos, err);
    if (status == ST_OK) status = forward_floats(f, n, 1, &f->rope_sin, err);
    if (status == ST_OK) status = f->ops->upload(f->exec, f->rope_cos, tables, n_bytes, err);
    if (status == ST_OK) status = f->ops->upload(f->exec, f->rope_sin, tables + n, n_bytes, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    free(tables);
    return status;
}

/* The default block, no larger than the batch needs. */
size_t forward_row_block(size_t n_tokens)
{
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
    const size_t block = p->row_block ? p->row_block : forward_row_block(f->n_tokens);
    f->row_block = block;
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

static status_t take_tokens(struct forward *f, const struct forward_input *input, struct error *err)
{
    for (size_t r = 0; r < f->n_rows; r++) {
        const uint32_t *from = input->tokens + r * f->n_ctx;
        uint32_t *to = f->tokens + r * f->n_ctx;
        const size_t length = input->row_lengths[r];
        if (length > f->n_ctx)
            return error_set(err, ST_BAD_INPUT, "row %zu has %zu tokens, the batch %zu", r, length,
                             f->n_ctx);
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

static bool is_on_run(const struct forward *f, const struct forward_input *input,
                      struct hook_point hook)
{
    const bool is_late = hook_kind_has_layer(hook.kind) ? hook.layer >= input->first_layer
                                                        : hook.kind >= HOOK_LN_FINAL_NORMALIZED;
    return (!input->residual || is_late) && hook.layer < f->config->n_layers &&
           hook_kind_exists(hook.kind, f->config);
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
    for (size_t i = 0; i < n_hooks; i++)
        if (!is_on_run(f, input, hooks[i]))
            return error_set(err, ST_BAD_INPUT, "hook point %zu does not lie on this run", i);
    return ST_OK;
}

static status_t check_head_rows(const struct forward *f, const struct forward_input *input,
                                struct error *err)
{
    if (!input->head_rows) return ST_OK;
    if (!input->n_head_rows || input->n_head_rows > f->n_tokens)
        return error_set(err, ST_BAD_INPUT, "%zu head rows of %zu tokens", input->n_head_rows,
                         f->n_tokens);
    for (size_t i = 0; i < input->n_head_rows; i++)
        if (input->head_rows[i] >= f->n_tokens)
            return error_set(err, ST_BAD_INPUT, "head row %zu: token %u of %zu", i,
                             (unsigned)input->head_rows[i], f->n_tokens);
    return ST_OK;
}

static status_t check_edits(const struct forward *f, const struct forward_input *input,
                            struct error *err)
{
    if (input->n_edits > FORWARD_MAX_EDITS)
        return error_set(err, ST_BAD_INPUT, "%zu edits, at most %d", input->n_edits,
                         FORWARD_MAX_EDITS);
    for (size_t i = 0; i < input->n_edits; i++) {
        const struct hook_point hook = input->edits[i].hook;
        char name[HOOK_NAME_SIZE];
        if (!is_on_run(f, input, hook))
            return error_set(err, ST_BAD_INPUT, "edit %zu does not lie on this run", i);
        if (!forward_can_edit(hook.kind))
            return error_set(err, ST_BAD_INPUT, "%s cannot be changed",
                             hook_point_name(hook, name));
    }
    return ST_OK;
}

status_t forward_run(struct forward *f, const struct forward_input *input,
                     const struct hook_point *hooks, size_t n_hooks, const float **out_acts,
                     struct error *err)
{
    status_t status = check_hooks(f, input, hooks, n_hooks, err);
    if (status == ST_OK) status = check_edits(f, input, err);
    if (status == ST_OK) status = check_head_rows(f, input, err);
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
        status = forward_embed(f, err);
    for (size_t i = input->first_layer;
         i < f->config->n_layers && status == ST_OK && !forward_is_complete(f); i++)
        status = forward_layer(f, i, err);
    if (status == ST_OK && !forward_is_complete(f)) status = forward_head(f, err);
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
        status =
            f->ops->upload(f->exec, f->z, z, n_tokens * c->n_heads * c->d_head * sizeof *z, err);
    const struct head_norms_params p = {.z = f->z,
                                        .factors = factors,
                                        .out = f->delta,
                                        .n_rows = n_tokens,
                                        .n_heads = c->n_heads,
                                        .d_head = c->d_head};
    if (status == ST_OK) status = f->ops->head_norms(f->exec, &p, err);
    if (status == ST_OK)
        status = f->ops->download(f->exec, out, f->delta, n_tokens * c->n_heads * sizeof *out, err);
    return status;
}
