#include "worker/model/adjoint_weights.h"

#include <stdlib.h>
#include <string.h>

static status_t pack(struct packed **out, const struct weights_source *source,
                     struct pack_params params, struct error *err)
{
    params.compute = source->compute;
    return source->backend->ops->packed_create(out, source->backend, &params, err);
}

static size_t width_of_readers(const struct model_config *c)
{
    return (c->n_heads + 2 * c->n_kv_heads) * c->d_head;
}

static size_t width_of_mlp_in(const struct model_config *c)
{
    return c->family->tensors.mlp_gate ? 2 * c->d_mlp : c->d_mlp;
}

/* Of a layer's four maps, the other way round. */
struct layer_shapes {
    struct pack_params qkv, attn_out, mlp_in, mlp_out;
};

static struct layer_shapes shapes_of(const struct model_config *c)
{
    const size_t d = c->d_model;
    return (struct layer_shapes){.qkv = {.n_in = width_of_readers(c), .n_out = d},
                                 .attn_out = {.n_in = d, .n_out = c->n_heads * c->d_head},
                                 .mlp_in = {.n_in = width_of_mlp_in(c), .n_out = d},
                                 .mlp_out = {.n_in = d, .n_out = c->d_mlp}};
}

static size_t estimate(const struct weights_source *source, struct pack_params params)
{
    params.compute = source->compute;
    return source->backend->ops->packed_estimate(source->backend, &params);
}

size_t adjoint_weights_missing(const struct adjoint_weights *loaded,
                               const struct weights_source *source, bool has_heads)
{
    const struct model_config *c = source->config;
    const struct layer_shapes s = shapes_of(c);
    const struct pack_params head = {.n_in = c->n_vocab, .n_out = c->d_model},
                             one_head = {.n_in = c->d_head, .n_out = c->d_model};
    const size_t n_maps = 2 * (c->n_heads + c->n_kv_heads); /* readers and writers */
    size_t n_bytes = 0;
    if (!loaded->backend)
        n_bytes = estimate(source, head) +
                  c->n_layers * (estimate(source, s.qkv) + estimate(source, s.attn_out) +
                                 estimate(source, s.mlp_in) + estimate(source, s.mlp_out));
    if (has_heads && !loaded->has_heads)
        n_bytes += c->n_layers * n_maps * estimate(source, one_head);
    return n_bytes;
}

typedef status_t read_fn(float **out, const struct weights_source *source, size_t layer,
                         struct error *err);

/* A map [n_out, n_in] of a layer, the other way round: n_in -> n_out. */
static status_t load_map(struct packed **out, const struct weights_source *source, read_fn *read,
                         struct pack_params params, size_t layer, struct error *err)
{
    float *host;
    status_t status = read(&host, source, layer, err);
    if (status != ST_OK) return status;
    params.weights = host;
    params.is_transposed = true;
    status = pack(out, source, params, err);
    free(host);
    return status;
}

static status_t load_layer(struct adjoint_layer *out, const struct weights_source *source,
                           size_t layer, struct error *err)
{
    const struct layer_shapes shapes = shapes_of(source->config);
    status_t status = load_map(&out->qkv, source, weights_read_qkv, shapes.qkv, layer, err);
    if (status == ST_OK)
        status = load_map(&out->mlp_in, source, weights_read_mlp_in, shapes.mlp_in, layer, err);
    if (status == ST_OK)
        status =
            load_map(&out->attn_out, source, weights_read_attn_out, shapes.attn_out, layer, err);
    return status == ST_OK
               ? load_map(&out->mlp_out, source, weights_read_mlp_out, shapes.mlp_out, layer, err)
               : status;
}

static status_t load_head(struct packed **out, const struct weights_source *source,
                          struct error *err)
{
    struct pack_params params = {.n_in = source->config->n_vocab, .n_out = source->config->d_model};
    float *host;
    status_t status = weights_read_head(source, &host, err);
    if (status != ST_OK) return status;
    params.weights = host;
    status = pack(out, source, params, err);
    free(host);
    return status;
}

static void count_bytes(struct adjoint_weights *w)
{
    const struct backend_ops *ops = w->backend->ops;
    w->n_bytes = ops->packed_bytes(w->head);
    for (size_t i = 0; i < w->n_layers; i++) {
        const struct adjoint_layer *layer = &w->layers[i];
        w->n_bytes += ops->packed_bytes(layer->qkv) + ops->packed_bytes(layer->attn_out) +
                      ops->packed_bytes(layer->mlp_in) + ops->packed_bytes(layer->mlp_out);
        for (size_t h = 0; layer->readers && h < w->n_readers; h++)
            w->n_bytes += ops->packed_bytes(layer->readers[h]);
        for (size_t h = 0; layer->writers && h < w->n_writers; h++)
            w->n_bytes += ops->packed_bytes(layer->writers[h]);
    }
}

status_t adjoint_weights_load(struct adjoint_weights *out, const struct weights_source *source,
                              struct error *err)
{
    const struct model_config *c = source->config;
    *out = (struct adjoint_weights){.backend = source->backend,
                                    .layers = calloc(c->n_layers, sizeof *out->layers),
                                    .n_layers = c->n_layers,
                                    .n_readers = c->n_heads + 2 * c->n_kv_heads,
                                    .n_writers = c->n_heads};
    status_t status = out->layers ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu layers", c->n_layers);
    if (status == ST_OK) status = load_head(&out->head, source, err);
    for (size_t i = 0; i < c->n_layers && status == ST_OK; i++)
        status = load_layer(&out->layers[i], source, i, err);
    if (status == ST_OK)
        count_bytes(out);
    else
        adjoint_weights_unload(out);
    return status;
}

/* --- maps of single heads ------------------------------------------------------------------ */

static void heads_fini(const struct backend_ops *ops, struct packed ***heads, size_t n)
{
    for (size_t i = 0; *heads && i < n; i++)
        if ((*heads)[i]) ops->packed_destroy((*heads)[i]);
    free(*heads);
    *heads = NULL;
}

static status_t make_list(struct packed ***out, size_t n, struct error *err)
{
    *out = calloc(n, sizeof **out);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu heads", n);
}

/* What a head alone writes: its rows of W_O [n_heads * d_head, d_model]. */
static status_t load_writers(struct adjoint_layer *out, const struct weights_source *source,
                             size_t layer, struct error *err)
{
    const struct model_config *c = source->config;
    float *host;
    status_t status = weights_read_attn_out(&host, source, layer, err);
    if (status != ST_OK) return status;
    status = make_list(&out->writers, c->n_heads, err);
    for (size_t i = 0; i < c->n_heads && status == ST_OK; i++) {
        const struct pack_params params = {.n_in = c->d_head,
                                           .n_out = c->d_model,
                                           .weights =
                                               host ? host + i * c->d_head * c->d_model : NULL};
        status = pack(&out->writers[i], source, params, err);
    }
    free(host);
    return status;
}

/* What a head's query, or a group's key or value, reads, the other way round: its columns of the
 * host's [d_model, all of them], brought together in `columns` [d_model, d_head]. */
static status_t load_reader(struct packed **out, const struct weights_source *source,
                            const float *host, size_t index, float *columns, struct error *err)
{
    const struct model_config *c = source->config;
    const size_t ld = width_of_readers(c);
    const struct pack_params params = {
        .n_in = c->d_head, .n_out = c->d_model, .weights = columns, .is_transposed = true};
    for (size_t r = 0; r < c->d_model && host; r++)
        memcpy(columns + r * c->d_head, host + r * ld + index * c->d_head,
               c->d_head * sizeof *columns);
    return pack(out, source, params, err);
}

static status_t load_readers(struct adjoint_layer *out, const struct weights_source *source,
                             size_t layer, struct error *err)
{
    const struct model_config *c = source->config;
    const size_t n = c->n_heads + 2 * c->n_kv_heads;
    float *host, *columns = calloc(c->d_model, c->d_head * sizeof *columns);
    if (!columns) return error_set(err, ST_NO_MEMORY, "a head's weights");
    status_t status = weights_read_qkv(&host, source, layer, err);
    if (status == ST_OK) {
        status = make_list(&out->readers, n, err);
        for (size_t i = 0; i < n && status == ST_OK; i++)
            status = load_reader(&out->readers[i], source, host, i, columns, err);
        free(host);
    }
    free(columns);
    return status;
}

static void unload_heads(struct adjoint_weights *w)
{
    const struct backend_ops *ops = w->backend->ops;
    for (size_t i = 0; w->layers && i < w->n_layers; i++) {
        heads_fini(ops, &w->layers[i].readers, w->n_readers);
        heads_fini(ops, &w->layers[i].writers, w->n_writers);
    }
    w->has_heads = false;
}

status_t adjoint_weights_load_heads(struct adjoint_weights *w, const struct weights_source *source,
                                    struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < w->n_layers && status == ST_OK; i++) {
        status = load_readers(&w->layers[i], source, i, err);
        if (status == ST_OK) status = load_writers(&w->layers[i], source, i, err);
    }
    if (status != ST_OK) {
        unload_heads(w);
        return status;
    }
    w->has_heads = true;
    count_bytes(w);
    return ST_OK;
}

void adjoint_weights_unload(struct adjoint_weights *w)
{
    if (!w->backend) return;
    const struct backend_ops *ops = w->backend->ops;
    unload_heads(w);
    for (size_t i = 0; w->layers && i < w->n_layers; i++) {
        struct packed *const maps[] = {w->layers[i].qkv, w->layers[i].attn_out, w->layers[i].mlp_in,
                                       w->layers[i].mlp_out};
        for (size_t k = 0; k < sizeof maps / sizeof maps[0]; k++)
            if (maps[k]) ops->packed_destroy(maps[k]);
    }
    if (w->head) ops->packed_destroy(w->head);
    free(w->layers);
    *w = (struct adjoint_weights){0};
}
