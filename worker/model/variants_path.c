/* Edges: a receiver's values when it alone sees a sender changed. */
#include "worker/model/variants_parts.h"

#include <string.h>

size_t variants_path_width(const struct variants *v, enum path_receiver receiver)
{
    const struct model_config *c = v->forward->config;
    return receiver == PATH_QKV ? forward_width_qkv(c) : c->d_model;
}

/* What a sender writes must be in the stream that the receiver reads. */
static status_t check_path(const struct variants *v, const struct variant_path *path,
                           struct error *err)
{
    const struct variant sender = {.changes = &path->sender, .n_changes = 1};
    const struct hook_point from = path->sender.hook;
    const bool is_embedding = from.kind == HOOK_RESID_PRE && from.layer == 0;
    const bool is_after =
        path->receiver == PATH_LOGITS || is_embedding || from.layer < path->layer ||
        (from.layer == path->layer && from.kind == HOOK_Z && path->receiver == PATH_MLP);
    char name[HOOK_NAME_SIZE];
    status_t status = variant_check(v, &sender, 0, err);
    if (status != ST_OK) return status;
    if (!is_embedding && from.kind != HOOK_Z && from.kind != HOOK_MLP_OUT)
        return error_set(err, ST_BAD_INPUT, "%s sends nothing", hook_point_name(from, name));
    if (path->receiver != PATH_LOGITS && path->layer >= v->forward->config->n_layers)
        return error_set(err, ST_BAD_INPUT, "a receiver in layer %zu of %zu", path->layer,
                         v->forward->config->n_layers);
    return is_after ? ST_OK
                    : error_set(err, ST_BAD_INPUT, "%s is not before its receiver in layer %zu",
                                hook_point_name(from, name), path->layer);
}

/* v->path_rows = the sender changed - the sender clean. */
static status_t sender_difference(struct variants *v, const struct variant_path *path,
                                  struct error *err)
{
    const size_t width = hook_point_width(path->sender.hook, v->forward->config);
    const size_t n = v->n_prompts * v->n_ctx * width;
    const float *clean;
    const status_t status = variants_clean(v, path->sender.hook, &clean, err);
    if (status != ST_OK) return status;
    memcpy(v->path_rows, clean, n * sizeof *clean);
    v->is_at_answers = false;
    variant_make_change(v, &path->sender, v->path_rows, width);
    for (size_t i = 0; i < n; i++) v->path_rows[i] -= clean[i];
    return ST_OK;
}

/* f->delta = that difference as it arrives in the stream. */
static status_t difference_in_stream(struct variants *v, const struct variant_path *path,
                                     struct error *err)
{
    struct forward *f = v->forward;
    const struct hook_point from = path->sender.hook;
    const struct linear *out = &f->weights->layers[from.layer].attn_out;
    const size_t n = v->n_prompts * v->n_ctx * hook_point_width(from, f->config);
    const bool is_head = from.kind == HOOK_Z;
    status_t status = sender_difference(v, path, err);
    if (status == ST_OK)
        status = f->ops->upload(f->exec, is_head ? f->z : f->delta, v->path_rows, n * sizeof(float),
                                err);
    struct matmul_params product = {.x = f->z,
                                    .y = f->delta,
                                    .ld_x = out->n_in,
                                    .ld_y = f->config->d_model,
                                    .n_rows = f->n_padded};
    if (status == ST_OK) status = forward_map(f, from.layer, LAYER_ATTN_OUT, &product.weights, err);
    return status == ST_OK && is_head ? f->ops->matmul(f->exec, &product, err) : status;
}

/* Where an edit of the receiver's stage leaves its values. */
struct capture {
    float *out;
    size_t column, ld;
};

static status_t capture_rows(void *context, const struct forward_values *values, struct error *err)
{
    const struct capture *to = context;
    (void)err;
    for (size_t r = 0; r < values->n_rows * values->n_ctx; r++)
        memcpy(to->out + r * to->ld + to->column, values->values + r * values->ld,
               values->width * sizeof *to->out);
    return ST_OK;
}

static status_t receive_qkv(struct variants *v, size_t layer, float *out, struct error *err)
{
    const struct model_config *c = v->forward->config;
    const size_t ld = forward_width_qkv(c), d_q = c->n_heads * c->d_head,
                 d_kv = c->n_kv_heads * c->d_head;
    struct capture parts[] = {{out, 0, ld}, {out, d_q, ld}, {out, d_q + d_kv, ld}};
    const struct forward_edit edits[] = {{{HOOK_Q, layer}, capture_rows, &parts[0], NULL},
                                         {{HOOK_K, layer}, capture_rows, &parts[1], NULL},
                                         {{HOOK_V, layer}, capture_rows, &parts[2], NULL}};
    v->input.edits = edits;
    v->input.n_edits = sizeof edits / sizeof edits[0];
    return forward_to_heads(v->forward, layer, err);
}

static status_t receive_mlp(struct variants *v, size_t layer, float *out, struct error *err)
{
    struct capture rows = {out, 0, v->forward->config->d_model};
    const struct forward_edit edit = {{HOOK_MLP_OUT, layer}, capture_rows, &rows, NULL};
    v->input.edits = &edit;
    v->input.n_edits = 1;
    const status_t status = forward_to_mlp(v->forward, layer, err);
    return status == ST_OK ? forward_to_post(v->forward, layer, err) : status;
}

/* residual = the stream that the receiver reads in the clean pass + delta. */
static status_t make_stream(struct variants *v, const struct variant_path *path, struct error *err)
{
    struct forward *f = v->forward;
    const struct clean_layer *clean = &v->clean[path->layer];
    const size_t d = f->config->d_model;
    const struct add_params add = {.a = path->receiver == PATH_QKV ? clean->pre : clean->mid,
                                   .b = f->delta,
                                   .out = f->residual,
                                   .n_rows = f->n_tokens,
                                   .d = d,
                                   .ld_a = d,
                                   .ld_out = d};
    return f->ops->add(f->exec, &add, err);
}

static status_t receive(struct variants *v, const struct variant_path *path, float *out,
                        struct error *err)
{
    struct forward *f = v->forward;
    if (path->receiver == PATH_LOGITS)
        return f->ops->download(f->exec, out, f->delta,
                                f->n_tokens * f->config->d_model * sizeof *out, err);
    const status_t status = make_stream(v, path, err);
    if (status != ST_OK) return status;
    return path->receiver == PATH_QKV ? receive_qkv(v, path->layer, out, err)
                                      : receive_mlp(v, path->layer, out, err);
}

status_t variants_path(struct variants *v, const struct variant_path *path, float *out,
                       struct error *err)
{
    if (!v->is_loaded) return error_set(err, ST_BAD_INPUT, "no prompts");
    status_t status = check_path(v, path, err);
    if (status != ST_OK) return status;
    variants_begin(v);
    v->n_inside = 1;
    variants_use_rows(v);
    status = difference_in_stream(v, path, err);
    if (status == ST_OK) status = receive(v, path, out, err);
    v->input.edits = NULL; /* those were here */
    v->input.n_edits = 0;
    return status == ST_OK ? v->forward->ops->synchronize(v->forward->exec, err) : status;
}
