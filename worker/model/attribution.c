#include "worker/model/attribution.h"

#include "common/size.h"
#include "worker/model/attribution_parts.h"

#include <stdlib.h>
#include <string.h>

enum { TASK_TOKENS = 256 };

size_t attribution_task_batch(size_t n_prompts, size_t n_ctx)
{
    const size_t n = n_ctx < TASK_TOKENS ? TASK_TOKENS / n_ctx : 1;
    return n < n_prompts ? n : n_prompts;
}

struct attribute_shape attribution_shape(const struct model_config *c)
{
    return (struct attribute_shape){c->n_layers, c->n_heads, c->n_kv_heads};
}

/* --- memory -------------------------------------------------------------------------------- */

static size_t n_readers(const struct model_config *c)
{
    return c->n_heads + 2 * c->n_kv_heads;
}

static void free_layers(struct attribution *a)
{
    struct forward *f = a->forward;
    for (size_t i = 0; a->layers && i < f->config->n_layers; i++) {
        struct attribution_layer *layer = &a->layers[i];
        const bool is_shared = !a->has_edges && i;
        float *const buffers[] = {layer->pre,
                                  layer->z,
                                  layer->kv,
                                  layer->mlp,
                                  is_shared ? NULL : layer->d_qkv,
                                  is_shared ? NULL : layer->d_mid};
        for (size_t k = 0; k < sizeof buffers / sizeof buffers[0]; k++)
            f->ops->release(f->backend, buffers[k]);
    }
    free(a->layers);
}

void attribution_destroy(struct attribution **pointer)
{
    struct attribution *a = *pointer;
    if (!a) return;
    struct forward *f = a->forward;
    if (f) {
        attribution_close_windows(a);
        void *const device[] = {a->embed,    a->embed_difference, a->last,     a->d_last,
                                a->d_stream, a->d_normed,         a->d_z,      a->d_mlp_in,
                                a->columns,  a->d_mlp_post,       a->d_logits, a->dots,
                                a->senders,  a->receivers,        a->tile,     a->negative_sine};
        for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
            f->ops->release(f->backend, device[i]);
        free_layers(a);
    }
    void *const host[] = {a->dots_host, a->tile_host, a->zeros,   a->logits,     a->clean,
                          a->slopes,    a->tokens,    a->lengths, a->answer_rows};
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++) free(host[i]);
    forward_destroy(&a->forward);
    free(a);
    *pointer = NULL;
}

static status_t make_layers(struct attribution *a, struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t n = f->n_padded, d = c->d_model;
    status_t status = ST_OK;
    a->layers = calloc(c->n_layers, sizeof *a->layers);
    if (!a->layers) return error_set(err, ST_NO_MEMORY, "%zu layers", c->n_layers);
    for (size_t i = 0; i < c->n_layers && status == ST_OK; i++) {
        struct attribution_layer *layer = &a->layers[i];
        status = forward_floats(f, n, d, &layer->pre, err);
        if (status == ST_OK) status = forward_floats(f, n, d, &layer->mlp, err);
        if (status == ST_OK) status = forward_floats(f, n, c->n_heads * c->d_head, &layer->z, err);
        if (status == ST_OK)
            status = forward_floats(f, n, 2 * c->n_kv_heads * c->d_head, &layer->kv, err);
        if (i && !a->has_edges) {
            layer->d_qkv = a->layers[0].d_qkv;
            layer->d_mid = a->layers[0].d_mid;
            continue;
        }
        if (status == ST_OK)
            status = forward_floats(f, n, forward_width_qkv(c), &layer->d_qkv, err);
        if (status == ST_OK) status = forward_floats(f, n, d, &layer->d_mid, err);
    }
    return status;
}

static status_t make_rows(struct attribution *a, struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t block = f->row_block, n_answers = (a->n_rows + block - 1) / block * block;
    const size_t most_groups = c->n_heads > 2 * c->n_kv_heads ? c->n_heads : 2 * c->n_kv_heads;
    const struct {
        float **buffer;
        size_t n_rows, width;
    } PLAN[] = {{&a->embed, f->n_padded, c->d_model},
                {&a->embed_difference, f->n_padded, c->d_model},
                {&a->last, f->n_padded, c->d_model},
                {&a->d_last, f->n_padded, c->d_model},
                {&a->d_stream, f->n_padded, c->d_model},
                {&a->d_normed, f->n_padded, c->d_model},
                {&a->d_z, f->n_padded, c->n_heads * c->d_head},
                {&a->d_mlp_in, f->n_padded, forward_width_mlp_in(c)},
                {&a->d_mlp_post, f->n_padded, c->d_mlp},
                {&a->columns, f->n_padded, 2 * c->n_kv_heads * c->d_head},
                {&a->d_logits, n_answers, c->n_vocab},
                {&a->dots, f->n_padded, most_groups}};
    status_t status = ST_OK;
    for (size_t i = 0; i < sizeof PLAN / sizeof PLAN[0] && status == ST_OK; i++)
        status = forward_floats(f, PLAN[i].n_rows, PLAN[i].width, PLAN[i].buffer, err);
    if (status != ST_OK) return status;
    a->dots_host = calloc(f->n_padded * most_groups, sizeof *a->dots_host);
    a->zeros = calloc(f->n_padded * c->d_model, sizeof *a->zeros);
    a->logits = calloc(a->n_rows * c->n_vocab, sizeof *a->logits);
    a->clean = calloc(a->n_rows * c->n_vocab, sizeof *a->clean);
    a->slopes = calloc(a->n_rows * c->n_vocab, sizeof *a->slopes);
    a->tokens = calloc(f->n_tokens, sizeof *a->tokens);
    a->lengths = calloc(a->n_rows, sizeof *a->lengths);
    a->answer_rows = calloc(a->n_rows, sizeof *a->answer_rows);
    return a->dots_host && a->zeros && a->logits && a->clean && a->slopes && a->tokens &&
                   a->lengths && a->answer_rows
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "attributions of %zu prompts", a->n_rows);
}

static status_t make_tiles(struct attribution *a, struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t n_senders = attribute_layer_sender(&a->shape, a->n_tile_layers);
    const size_t n_scores = n_readers(c) * n_senders;
    void *tile;
    if (!a->has_edges) return ST_OK;
    status_t status = forward_floats(f, n_senders * f->row_block, c->d_model, &a->senders, err);
    if (status == ST_OK)
        status = forward_floats(f, n_readers(c) * f->row_block, c->d_model, &a->receivers, err);
    if (status == ST_OK) status = f->ops->alloc(f->backend, n_scores * sizeof *a->tile, &tile, err);
    if (status != ST_OK) return status;
    a->tile = tile;
    a->tile_host = calloc(n_scores, sizeof *a->tile_host);
    return a->tile_host ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu scores", n_scores);
}

static status_t make_negative_sine(struct attribution *a, struct error *err)
{
    struct forward *f = a->forward;
    const size_t n = f->n_ctx * (f->config->d_head / 2);
    if (!f->config->family->has_rotary) return ST_OK;
    const status_t status = forward_floats(f, n, 1, &a->negative_sine, err);
    if (status != ST_OK) return status;
    /* the buffer is zeroed: 0 - sine */
    const struct blend_params p = {a->negative_sine, f->rope_sin, a->negative_sine, -1.0f, n};
    return f->ops->blend(f->exec, &p, err);
}

status_t attribution_create(struct attribution **out, const struct attribution_params *p,
                            struct error *err)
{
    const struct backend *backend = model_backend(p->model);
    if (!backend_supports(backend, BACKEND_BACKWARD))
        return error_set(err, ST_UNSUPPORTED, "backend %s has no adjoints", backend->ops->name);
    const struct attribution_size size = {
        model_config(p->model),  p->n_prompts,           p->n_ctx, p->has_edges,
        model_backend(p->model), model_compute(p->model)};
    size_t n_prompts, n_tile_layers;
    status_t status = attribution_choose_prompts(p, &size, &n_prompts, &n_tile_layers, err);
    if (status != ST_OK) return status;
    model_note_pass(p->model, attribution_can_shrink(&size, n_prompts));
    struct attribution *a = calloc(1, sizeof *a);
    if (!a) return error_set(err, ST_NO_MEMORY, "attribution");
    a->shape = attribution_shape(model_config(p->model));
    a->has_edges = p->has_edges;
    a->n_rows = n_prompts;
    a->n_tile_layers = n_tile_layers;
    const struct forward_params forward = {.model = p->model,
                                           .n_rows = n_prompts,
                                           .n_ctx = p->n_ctx,
                                           .row_block = attribution_row_block(&size),
                                           .is_whole = true,
                                           .progress = p->progress};
    status = forward_create(&a->forward, &forward, err);
    if (status == ST_OK) status = model_adjoint(p->model, p->has_edges, &a->weights, err);
    if (status == ST_OK) status = attribution_open_windows(a, err);
    if (status == ST_OK) status = make_layers(a, err);
    if (status == ST_OK) status = make_rows(a, err);
    if (status == ST_OK) status = make_tiles(a, err);
    if (status == ST_OK) status = make_negative_sine(a, err);
    if (status == ST_OK)
        *out = a;
    else
        attribution_destroy(&a);
    return status;
}

size_t attribution_n_prompts(const struct attribution *attribution)
{
    return attribution->n_rows;
}

status_t attribution_product(struct attribution *a, const struct attribution_product *product,
                             struct error *err)
{
    struct forward *f = a->forward;
    struct matmul_params p = {.x = product->x,
                              .y = product->y,
                              .ld_x = product->n_in,
                              .ld_y = product->n_out,
                              .n_rows = f->n_padded};
    const status_t status =
        attribution_weights(a, ADJOINT_MAPS, product->layer, product->map, &p.weights, err);
    return status == ST_OK ? f->ops->matmul(f->exec, &p, err) : status;
}

status_t attribution_copy(struct attribution *a, float *to, const float *from, size_t n_floats,
                          struct error *err)
{
    return a->forward->ops->copy(a->forward->exec, to, from, n_floats * sizeof *to, err);
}
