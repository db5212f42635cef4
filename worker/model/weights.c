#include "worker/model/weights.h"

#include "worker/model/weights_loader.h"

#include <stdlib.h>
#include <string.h>

enum { LINEAR_MAX_PARTS = 3 };

static status_t load_norm(struct weights_loader *l, const char *base, size_t layer,
                          struct norm_weights *out, struct error *err)
{
    const struct model_config *c = l->source->config;
    const status_t status =
        weights_load_table(l, base, layer, ".weight", 0, c->d_model, &out->weight, err);
    if (status != ST_OK || !c->family->norm_has_bias) return status;
    return weights_load_table(l, base, layer, ".bias", 0, c->d_model, &out->bias, err);
}

/* A linear map whose outputs are the concatenation of parts, one tensor each. */
struct linear_plan {
    size_t layer, n_in, n_parts;
    const char *names[LINEAR_MAX_PARTS];
    size_t n_out[LINEAR_MAX_PARTS];
    bool has_bias;
};

static size_t plan_width(const struct linear_plan *plan)
{
    size_t n_out = 0;
    for (size_t i = 0; i < plan->n_parts; i++) n_out += plan->n_out[i];
    return n_out;
}

/* All parts' weights on the host, back to back: [out, in] tensors stack up into one; an [in, out]
 * family holds its maps in one tensor each. */
static status_t read_parts(struct weights_loader *l, const struct linear_plan *plan, float *weights,
                           float *bias, struct error *err)
{
    const bool is_conv1d = l->source->config->family->is_conv1d;
    char name[TENSOR_NAME_SIZE];
    status_t status = ST_OK;
    for (size_t i = 0; i < plan->n_parts && status == ST_OK; i++) {
        const size_t n_out = plan->n_out[i];
        status = weights_tensor_name(name, l->prefix, plan->names[i], plan->layer, ".weight", err);
        if (status == ST_OK)
            status = weights_read_tensor(l, name, is_conv1d ? plan->n_in : n_out,
                                         is_conv1d ? n_out : plan->n_in, weights, err);
        if (status != ST_OK || !plan->has_bias) {
            weights += plan->n_in * n_out;
            continue;
        }
        status = weights_tensor_name(name, l->prefix, plan->names[i], plan->layer, ".bias", err);
        if (status == ST_OK) status = weights_read_tensor(l, name, 0, n_out, bias, err);
        weights += plan->n_in * n_out;
        bias += n_out;
    }
    return status;
}

static status_t load_linear(struct weights_loader *l, const struct linear_plan *plan,
                            struct linear *out, struct error *err)
{
    const size_t n_out = plan_width(plan);
    const bool has_values = l->source->checkpoint != NULL;
    float *weights = NULL, *bias = NULL;
    status_t status = has_values ? weights_host_floats(plan->n_in, n_out, &weights, err) : ST_OK;
    if (status == ST_OK && has_values) status = weights_host_floats(0, n_out, &bias, err);
    if (status == ST_OK && has_values) status = read_parts(l, plan, weights, bias, err);
    if (status == ST_OK) {
        const struct pack_params params = {.n_in = plan->n_in,
                                           .n_out = n_out,
                                           .weights = weights,
                                           .is_transposed = !l->source->config->family->is_conv1d,
                                           .compute = l->source->compute,
                                           .is_shelved = l->source->is_streamed};
        status = l->ops->packed_create(&out->weights, l->source->backend, &params, err);
    }
    if (status == ST_OK && l->weights)
        *(l->source->is_streamed ? &l->weights->n_shelf_bytes : &l->weights->n_bytes) +=
            l->ops->packed_bytes(out->weights);
    if (status == ST_OK && plan->has_bias)
        status = weights_to_device(l, bias, n_out, &out->bias, err);
    out->n_in = plan->n_in;
    out->n_out = n_out;
    free(weights);
    free(bias);
    return status;
}

static struct linear_plan plan_qkv(const struct model_config *c, size_t layer)
{
    const struct family_tensors *names = &c->family->tensors;
    const size_t d_q = c->n_heads * c->d_head, d_kv = c->n_kv_heads * c->d_head;
    struct linear_plan plan = {
        .layer = layer, .n_in = c->d_model, .has_bias = c->has_attention_bias};
    if (names->qkv) {
        plan.n_parts = 1;
        plan.names[0] = names->qkv;
        plan.n_out[0] = d_q + 2 * d_kv;
        return plan;
    }
    plan.n_parts = 3;
    plan.names[0] = names->q;
    plan.names[1] = names->k;
    plan.names[2] = names->v;
    plan.n_out[0] = d_q;
    plan.n_out[1] = plan.n_out[2] = d_kv;
    return plan;
}

static struct linear_plan plan_attn_out(const struct model_config *c, size_t layer)
{
    return (struct linear_plan){.layer = layer,
                                .n_in = c->n_heads * c->d_head,
                                .n_parts = 1,
                                .names = {c->family->tensors.attn_out},
                                .n_out = {c->d_model},
                                .has_bias = c->has_attention_bias};
}

static struct linear_plan plan_mlp_in(const struct model_config *c, size_t layer)
{
    const struct family_tensors *names = &c->family->tensors;
    struct linear_plan plan = {.layer = layer, .n_in = c->d_model, .has_bias = c->has_mlp_bias};
    if (names->mlp_gate) {
        plan.names[plan.n_parts] = names->mlp_gate;
        plan.n_out[plan.n_parts++] = c->d_mlp;
    }
    plan.names[plan.n_parts] = names->mlp_in;
    plan.n_out[plan.n_parts++] = c->d_mlp;
    return plan;
}

static struct linear_plan plan_mlp_out(const struct model_config *c, size_t layer)
{
    return (struct linear_plan){.layer = layer,
                                .n_in = c->d_mlp,
                                .n_parts = 1,
                                .names = {c->family->tensors.mlp_out},
                                .n_out = {c->d_model},
                                .has_bias = c->has_mlp_bias};
}

static status_t load_layer(struct weights_loader *l, size_t layer, struct layer_weights *out,
                           struct error *err)
{
    const struct model_config *c = l->source->config;
    const struct family_tensors *names = &c->family->tensors;
    const struct linear_plan qkv = plan_qkv(c, layer), attn_out = plan_attn_out(c, layer),
                             mlp_in = plan_mlp_in(c, layer), mlp_out = plan_mlp_out(c, layer);
    status_t status = load_norm(l, names->norm_1, layer, &out->norm_1, err);
    if (status == ST_OK) status = load_norm(l, names->norm_2, layer, &out->norm_2, err);
    if (status == ST_OK) status = load_linear(l, &qkv, &out->qkv, err);
    if (status == ST_OK) status = load_linear(l, &attn_out, &out->attn_out, err);
    if (status == ST_OK) status = load_linear(l, &mlp_in, &out->mlp_in, err);
    if (status == ST_OK) status = load_linear(l, &mlp_out, &out->mlp_out, err);
    return status;
}

static void fill_shelf(struct weights *w)
{
    for (size_t i = 0; i < w->n_layers; i++) {
        const struct packed **row = w->shelf + i * LAYER_N_MAPS;
        row[LAYER_QKV] = w->layers[i].qkv.weights;
        row[LAYER_ATTN_OUT] = w->layers[i].attn_out.weights;
        row[LAYER_MLP_IN] = w->layers[i].mlp_in.weights;
        row[LAYER_MLP_OUT] = w->layers[i].mlp_out.weights;
    }
}

/* The head is packed on first use; here it is only looked for. */
static status_t note_head(struct weights_loader *l, struct error *err)
{
    const struct model_config *c = l->source->config;
    const struct tensor_view *view = NULL;
    char name[TENSOR_NAME_SIZE];
    if (c->is_tied || !l->source->checkpoint) return ST_OK;
    const status_t status =
        weights_tensor_name(name, "", c->family->tensors.head, 0, ".weight", err);
    return status == ST_OK ? weights_find_tensor(l, name, &view, err) : status;
}

static status_t load_all(struct weights_loader *l, struct weights *w, struct error *err)
{
    const struct model_config *c = l->source->config;
    const struct family_tensors *names = &c->family->tensors;
    status_t status = weights_load_table(l, names->token_embed, 0, ".weight", c->n_vocab,
                                         c->d_model, &w->token_embed, err);
    if (status == ST_OK && names->position_embed)
        status = weights_load_table(l, names->position_embed, 0, ".weight", c->n_positions,
                                    c->d_model, &w->position_embed, err);
    if (status == ST_OK) status = load_norm(l, names->norm_final, 0, &w->norm_final, err);
    for (size_t i = 0; i < c->n_layers && status == ST_OK; i++)
        status = load_layer(l, i, &w->layers[i], err);
    if (status == ST_OK) status = note_head(l, err);
    return status == ST_OK ? weights_check_all_used(l, err) : status;
}

status_t weights_load(struct weights *out, const struct weights_source *source, struct error *err)
{
    struct weights_loader l;
    *out = (struct weights){.backend = source->backend, .n_layers = source->config->n_layers};
    status_t status = weights_loader_init(&l, source, err);
    if (status != ST_OK) return status;
    l.weights = out;
    const size_t n_tensors = source->checkpoint ? safetensors_count(source->checkpoint) : 0;
    l.used = calloc(n_tensors + 1, sizeof(void *));
    out->layers = calloc(out->n_layers, sizeof *out->layers);
    if (source->is_streamed) /* cppcheck-suppress pointerSize ; an array of pointers */
        out->shelf = calloc(out->n_layers * LAYER_N_MAPS, sizeof(const struct packed *));
    if (!out->layers || !l.used || (source->is_streamed && !out->shelf))
        status = error_set(err, ST_NO_MEMORY, "%zu layers", out->n_layers);
    if (status == ST_OK) status = load_all(&l, out, err);
    if (status == ST_OK && out->shelf) fill_shelf(out);
    weights_loader_fini(&l);
    if (status != ST_OK) weights_unload(out);
    return status;
}

static void linear_fini(const struct backend_ops *ops, struct backend *backend, struct linear *l)
{
    if (l->weights) ops->packed_destroy(l->weights);
    ops->release(backend, l->bias);
}

static void norm_fini(const struct backend_ops *ops, struct backend *backend,
                      struct norm_weights *n)
{
    ops->release(backend, n->weight);
    ops->release(backend, n->bias);
}

void weights_unload(struct weights *w)
{
    if (!w->backend) return;
    const struct backend_ops *ops = w->backend->ops;
    for (size_t i = 0; w->layers && i < w->n_layers; i++) {
        struct layer_weights *layer = &w->layers[i];
        norm_fini(ops, w->backend, &layer->norm_1);
        norm_fini(ops, w->backend, &layer->norm_2);
        linear_fini(ops, w->backend, &layer->qkv);
        linear_fini(ops, w->backend, &layer->attn_out);
        linear_fini(ops, w->backend, &layer->mlp_in);
        linear_fini(ops, w->backend, &layer->mlp_out);
    }
    free(w->layers);
    free(w->shelf);
    norm_fini(ops, w->backend, &w->norm_final);
    ops->release(w->backend, w->token_embed);
    ops->release(w->backend, w->position_embed);
    *w = (struct weights){0};
}

status_t weights_read_head(const struct weights_source *source, float **out, struct error *err)
{
    const struct model_config *c = source->config;
    struct weights_loader l;
    char name[TENSOR_NAME_SIZE];
    float *host = NULL;
    *out = NULL;
    if (!source->checkpoint) return ST_OK;
    status_t status = weights_loader_init(&l, source, err);
    if (status != ST_OK) return status;
    status = c->is_tied ? weights_tensor_name(name, l.prefix, c->family->tensors.token_embed, 0,
                                              ".weight", err)
                        : weights_tensor_name(name, "", c->family->tensors.head, 0, ".weight", err);
    if (status == ST_OK) status = weights_host_floats(c->n_vocab, c->d_model, &host, err);
    if (status == ST_OK) status = weights_read_tensor(&l, name, c->n_vocab, c->d_model, host, err);
    weights_loader_fini(&l);
    if (status == ST_OK)
        *out = host;
    else
        free(host);
    return status;
}

static status_t pack_head(struct packed **out, const struct weights_source *source,
                          const float *rows, size_t n_rows, struct error *err)
{
    const struct pack_params params = {.n_in = source->config->d_model,
                                       .n_out = n_rows,
                                       .weights = rows,
                                       .is_transposed = true,
                                       .compute = source->compute};
    return source->backend->ops->packed_create(out, source->backend, &params, err);
}

status_t weights_load_head(struct packed **out, const struct weights_source *source,
                           struct error *err)
{
    float *host;
    status_t status = weights_read_head(source, &host, err);
    if (status != ST_OK) return status;
    status = pack_head(out, source, host, source->config->n_vocab, err);
    free(host);
    return status;
}

status_t weights_load_head_columns(struct packed **out, const struct weights_source *source,
                                   const uint32_t *ids, size_t n, struct error *err)
{
    const size_t d = source->config->d_model;
    float *host, *rows = NULL;
    status_t status = weights_read_head(source, &host, err);
    if (status != ST_OK) return status;
    status = host ? weights_host_floats(n, d, &rows, err) : ST_OK;
    for (size_t i = 0; i < n && status == ST_OK && host; i++)
        memcpy(rows + i * d, host + ids[i] * d, d * sizeof *rows);
    if (status == ST_OK) status = pack_head(out, source, rows, n, err);
    free(rows);
    free(host);
    return status;
}

/* [rows, columns] -> [columns, rows] into newly allocated memory. */
static status_t transposed(const float *from, size_t rows, size_t columns, float **out,
                           struct error *err)
{
    float *to;
    const status_t status = weights_host_floats(rows, columns, &to, err);
    if (status != ST_OK) return status;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
    }
    *out = to;
    return ST_OK;
}

/* The weights of a map, [n_in, n_out] whatever the file's layout. */
static status_t read_map(float **out, const struct weights_source *source, struct linear_plan plan,
                         struct error *err)
{
    const size_t n_out = plan_width(&plan);
    struct weights_loader l;
    float *host = NULL;
    *out = NULL;
    if (!source->checkpoint) return ST_OK;
    status_t status = weights_loader_init(&l, source, err);
    if (status != ST_OK) return status;
    plan.has_bias = false;
    status = weights_host_floats(plan.n_in, n_out, &host, err);
    if (status == ST_OK) status = read_parts(&l, &plan, host, NULL, err);
    weights_loader_fini(&l);
    if (status == ST_OK && !source->config->family->is_conv1d) {
        float *turned = NULL;
        status = transposed(host, n_out, plan.n_in, &turned, err);
        free(host);
        host = turned;
    }
    if (status == ST_OK)
        *out = host;
    else
        free(host);
    return status;
}

status_t weights_read_attn_out(float **out, const struct weights_source *source, size_t layer,
                               struct error *err)
{
    return read_map(out, source, plan_attn_out(source->config, layer), err);
}

status_t weights_read_qkv(float **out, const struct weights_source *source, size_t layer,
                          struct error *err)
{
    return read_map(out, source, plan_qkv(source->config, layer), err);
}

status_t weights_read_mlp_out(float **out, const struct weights_source *source, size_t layer,
                              struct error *err)
{
    return read_map(out, source, plan_mlp_out(source->config, layer), err);
}

status_t weights_read_mlp_in(float **out, const struct weights_source *source, size_t layer,
                             struct error *err)
{
    return read_map(out, source, plan_mlp_in(source->config, layer), err);
}
