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
    float *const device[] = {f->stream,  f->normed,   f->qkv,    f->z,        f->delta,
                             f->mlp_pre, f->mlp_post, f->logits, f->rope_cos, f->rope_sin};
    if (f->window) f->ops->window_destroy(f->window);
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        f->ops->release(f->backend, device[i]);
    for (size_t i = 0; i < FORWARD_MAX_HOOKS; i++) {
        f->ops->release(f->backend, f->buffers[i].device);
        if (!f->ops->memory_is_host) free(f->buffers[i].host);
    }
    f->ops->release(f->backend, f->divergences);
    free(f->edited.host);
    forward_replay_fini(f);
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

size_t forward_widest_input(const struct model_config *c)
{
    const size_t d_z = c->n_heads * c->d_head, widest = d_z > c->d_model ? d_z : c->d_model;
    return widest > c->d_mlp ? widest : c->d_mlp;
}

static size_t up_to_blocks(size_t n_tokens, size_t block)
{
    return (n_tokens + block - 1) / block * block;
}

/* Sequences of a part: as many as there is room for, halved as often as the device was found
 * full, and no fewer than a row block has room for: fewer would take as much. */
static size_t choose_part(const struct forward *f, bool is_whole)
{
    const size_t n_fit = is_whole ? 0
                                  : memory_plan_tokens(model_plan(f->model), f->backend,
                                                       memory_plan_token_bytes(f->config), 0);
    const size_t least = f->row_block / f->n_ctx ? f->row_block / f->n_ctx : 1;
    size_t n_rows = f->batch_rows;
    if (n_fit && n_fit / f->n_ctx < n_rows) n_rows = n_fit / f->n_ctx;
    for (unsigned i = 0; !is_whole && i < model_n_halvings(f->model); i++) n_rows /= 2;
    if (n_rows < least) n_rows = least;
    return n_rows < f->batch_rows ? n_rows : f->batch_rows;
}

static void take_part(struct forward *f, size_t first_row)
{
    const size_t n_left = f->batch_rows - first_row;
    f->first_row = first_row;
    f->n_rows = n_left < f->part_rows ? n_left : f->part_rows;
    f->n_tokens = f->n_rows * f->n_ctx;
    f->n_padded = up_to_blocks(f->n_tokens, f->row_block);
    f->residual = f->stream + first_row * f->n_ctx * f->config->d_model;
}

static status_t make_buffers(struct forward *f, struct error *err)
{
    const struct model_config *c = f->config;
    const size_t n_batch = f->batch_rows * f->n_ctx;
    const struct {
        float **buffer;
        size_t width;
    } PLAN[] = {{&f->normed, c->d_model},
                {&f->qkv, forward_width_qkv(c)},
                {&f->z, c->n_heads * c->d_head},
                {&f->delta, c->d_model},
                {&f->mlp_pre, forward_width_mlp_in(c)},
                {&f->mlp_post, c->d_mlp}};
    status_t status =
        forward_floats(f, up_to_blocks(n_batch, f->row_block), c->d_model, &f->stream, err);
    f->n_room = up_to_blocks(f->part_rows * f->n_ctx, f->row_block);
    for (size_t i = 0; i < sizeof PLAN / sizeof PLAN[0] && status == ST_OK; i++)
        status = forward_floats(f, f->n_room, PLAN[i].width, PLAN[i].buffer, err);
    if (status != ST_OK)
        return error_wrap(err, "a batch of %zu of %zu sequences of %zu tokens", f->part_rows,
                          f->batch_rows, f->n_ctx);
    take_part(f, 0);
    f->tokens = calloc(n_batch, sizeof *f->tokens);
    return f->tokens ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu tokens", n_batch);
}

static status_t make_window(struct forward *f, struct error *err)
{
    const struct window_params params = {f->weights->shelf, f->config->n_layers, LAYER_N_MAPS};
    f->window_layer = SIZE_MAX;
    return f->weights->shelf ? f->ops->window_create(&f->window, f->exec, &params, err) : ST_OK;
}

size_t forward_next_layer(enum layer_order order, size_t layer, size_t n_layers)
{
    const bool is_last = layer + 1 == n_layers;
    if (order == LAYERS_ROUND) return (layer + 1) % n_layers;
    if (layer == 0) return n_layers > 1;
    return order == LAYERS_AND_BACK && !is_last ? layer + 1 : layer - 1;
}

status_t forward_map(struct forward *f, size_t layer, enum layer_map map, const struct packed **out,
                     struct error *err)
{
    const struct layer_weights *w = &f->weights->layers[layer];
    const struct packed *const resident[LAYER_N_MAPS] = {[LAYER_QKV] = w->qkv.weights,
                                                         [LAYER_ATTN_OUT] = w->attn_out.weights,
                                                         [LAYER_MLP_IN] = w->mlp_in.weights,
                                                         [LAYER_MLP_OUT] = w->mlp_out.weights};
    status_t status = ST_OK;
    if (f->window && f->window_layer != layer) {
        f->window_layer = SIZE_MAX;
        const size_t next = forward_next_layer(f->order, layer, f->config->n_layers);
        status = f->ops->window_take(f->window, layer, next, &f->maps, err);
        if (status == ST_OK) f->window_layer = layer;
    }
    if (status == ST_OK) *out = f->window ? f->maps[map] : resident[map];
    return status;
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
    f->batch_rows = p->n_rows;
    f->n_ctx = p->n_ctx;
    f->row_block = p->row_block ? p->row_block : forward_row_block(p->n_rows * p->n_ctx);
    const struct exec_params exec = {.row_block = f->row_block};
    status = f->ops->exec_create(&f->exec, f->backend, &exec, err);
    if (status == ST_OK) status = make_window(f, err);
    f->part_rows = choose_part(f, p->is_whole);
    if (!p->is_whole) model_note_pass(f->model, f->part_rows / 2 * f->n_ctx >= f->row_block);
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

size_t forward_part_rows(const struct forward *forward)
{
    return forward->part_rows;
}

static status_t check_lengths(const struct forward *f, const struct forward_input *input,
                              struct error *err)
{
    for (size_t r = 0; r < f->batch_rows; r++)
        if (input->row_lengths[r] > f->n_ctx)
            return error_set(err, ST_BAD_INPUT, "row %zu has %u tokens, the batch %zu", r,
                             (unsigned)input->row_lengths[r], f->n_ctx);
    return ST_OK;
}

static status_t take_tokens(struct forward *f, const struct forward_input *input, struct error *err)
{
    for (size_t r = 0; r < f->batch_rows; r++) {
        const uint32_t *from = input->tokens + r * f->n_ctx;
        uint32_t *to = f->tokens + r * f->n_ctx;
        const size_t length = input->row_lengths[r];
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
    const size_t n_tokens = f->batch_rows * f->n_ctx;
    if (!input->head_rows) return ST_OK;
    if (!input->n_head_rows || input->n_head_rows > n_tokens)
        return error_set(err, ST_BAD_INPUT, "%zu head rows of %zu tokens", input->n_head_rows,
                         n_tokens);
    for (size_t i = 0; i < input->n_head_rows; i++)
        if (input->head_rows[i] >= n_tokens)
            return error_set(err, ST_BAD_INPUT, "head row %zu: token %u of %zu", i,
                             (unsigned)input->head_rows[i], n_tokens);
    return ST_OK;
}

static status_t check_head_pairs(const struct forward *f, const struct forward_input *input,
                                 const struct hook_point *hooks, size_t n_hooks, struct error *err)
{
    const size_t n_tokens = f->batch_rows * f->n_ctx;
    if (!input->head_pairs) return ST_OK;
    if (n_hooks != 1 || hooks[0].kind != HOOK_LOGITS)
        return error_set(err, ST_BAD_INPUT, "comparisons beside other values");
    for (size_t i = 0; i < input->n_head_pairs; i++)
        if (input->head_pairs[i].p >= n_tokens || input->head_pairs[i].q >= n_tokens)
            return error_set(err, ST_BAD_INPUT, "comparison %zu: tokens %u and %u of %zu", i,
                             (unsigned)input->head_pairs[i].p, (unsigned)input->head_pairs[i].q,
                             n_tokens);
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

/* A step of the pass, over one part of the batch. */
typedef status_t part_fn(struct forward *f, size_t layer, struct error *err);

static status_t embed_part(struct forward *f, size_t layer, struct error *err)
{
    (void)layer;
    return forward_embed(f, err);
}

static status_t head_part(struct forward *f, size_t layer, struct error *err)
{
    (void)layer;
    const status_t status = forward_final_norm(f, err);
    if (status != ST_OK || forward_is_complete(f) || f->input->head_rows || f->input->head_pairs)
        return status;
    return forward_part_logits(f, err);
}

/* The step over all parts: each of them serves the same hooks. */
static status_t run_parts(struct forward *f, part_fn *run, size_t layer, struct error *err)
{
    const size_t n_seen = f->n_seen;
    status_t status = ST_OK;
    for (size_t row = 0; row < f->batch_rows && status == ST_OK; row += f->part_rows) {
        take_part(f, row);
        f->n_seen = n_seen;
        status = run(f, layer, err);
    }
    return status;
}

static status_t run_pass(struct forward *f, const struct forward_input *input, struct error *err)
{
    status_t status;
    if (input->residual)
        status = f->ops->upload(f->exec, f->stream, input->residual,
                                f->batch_rows * f->n_ctx * f->config->d_model * sizeof(float), err);
    else
        status = run_parts(f, embed_part, 0, err);
    if (forward_can_replay(f)) {
        if (status == ST_OK) status = forward_layers(f, input->first_layer, err);
    } else {
        for (size_t i = input->first_layer;
             i < f->config->n_layers && status == ST_OK && !forward_is_complete(f); i++)
            status = run_parts(f, forward_layer, i, err);
    }
    if (status == ST_OK && !forward_is_complete(f)) status = run_parts(f, head_part, 0, err);
    if (status == ST_OK && input->head_pairs) status = forward_head_pairs(f, err);
    if (status == ST_OK && !forward_is_complete(f)) status = forward_head_rows(f, err);
    return status == ST_OK ? f->ops->synchronize(f->exec, err) : status;
}

status_t forward_run(struct forward *f, const struct forward_input *input,
                     const struct hook_point *hooks, size_t n_hooks, const float **out_acts,
                     struct error *err)
{
    status_t status = check_hooks(f, input, hooks, n_hooks, err);
    if (status == ST_OK) status = check_edits(f, input, err);
    if (status == ST_OK) status = check_head_rows(f, input, err);
    if (status == ST_OK) status = check_lengths(f, input, err);
    if (status == ST_OK) status = check_head_pairs(f, input, hooks, n_hooks, err);
    if (status == ST_OK && !input->residual) status = take_tokens(f, input, err);
    if (status != ST_OK) return status;
    f->input = input;
    f->hooks = hooks;
    f->n_hooks = n_hooks;
    f->n_seen = 0;
    f->out_acts = out_acts;
    status = run_pass(f, input, err);
    if (status == ST_NO_MEMORY)
        return error_wrap(err, "a batch of %zu of %zu sequences of %zu tokens", f->part_rows,
                          f->batch_rows, f->n_ctx);
    return status;
}

/* z, and delta for the norms, have room for n_room tokens. */
static status_t head_norms_block(struct forward *f, struct head_norms_params *p, const float *z,
                                 float *out, struct error *err)
{
    const size_t n_values = p->n_rows * p->n_heads;
    status_t status = f->ops->upload(f->exec, f->z, z, n_values * p->d_head * sizeof *z, err);
    if (status == ST_OK) status = f->ops->head_norms(f->exec, p, err);
    return status == ST_OK ? f->ops->download(f->exec, out, f->delta, n_values * sizeof *out, err)
                           : status;
}

status_t forward_head_norms(struct forward *f, size_t layer, const float *z, size_t n_tokens,
                            float *out, struct error *err)
{
    const struct model_config *c = f->config;
    struct head_norms_params p = {
        .z = f->z, .out = f->delta, .n_heads = c->n_heads, .d_head = c->d_head};
    /* delta, d_model wide, receives the norms */
    if (n_tokens > f->batch_rows * f->n_ctx || c->n_heads > c->d_model ||
        !backend_supports(f->backend, BACKEND_HEAD_NORMS))
        return error_set(err, ST_BAD_INPUT, "head norms of %zu tokens", n_tokens);
    status_t status = model_head_factors(f->model, layer, &p.factors, err);
    for (size_t first = 0; first < n_tokens && status == ST_OK; first += f->n_room) {
        p.n_rows = n_tokens - first < f->n_room ? n_tokens - first : f->n_room;
        status = head_norms_block(f, &p, z + first * c->n_heads * c->d_head,
                                  out + first * c->n_heads, err);
    }
    return status;
}
