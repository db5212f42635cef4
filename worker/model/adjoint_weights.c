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

/* --- what they take ------------------------------------------------------------------------ */

/* Of a layer's maps, the other way round. */
struct layer_shapes {
    struct pack_params of[LAYER_N_MAPS];
};

static struct layer_shapes shapes_of(const struct model_config *c)
{
    const size_t d = c->d_model;
    return (struct layer_shapes){{[LAYER_QKV] = {.n_in = width_of_readers(c), .n_out = d},
                                  [LAYER_ATTN_OUT] = {.n_in = d, .n_out = c->n_heads * c->d_head},
                                  [LAYER_MLP_IN] = {.n_in = width_of_mlp_in(c), .n_out = d},
                                  [LAYER_MLP_OUT] = {.n_in = d, .n_out = c->d_mlp}}};
}

static size_t estimate(const struct weights_source *source, struct pack_params params)
{
    params.compute = source->compute;
    return source->backend->ops->packed_estimate(source->backend, &params);
}

struct adjoint_cost adjoint_weights_estimate(const struct weights_source *source)
{
    const struct model_config *c = source->config;
    const struct layer_shapes shapes = shapes_of(c);
    const struct pack_params head = {.n_in = c->n_vocab, .n_out = c->d_model},
                             one_head = {.n_in = c->d_head, .n_out = c->d_model};
    const size_t n_maps = 2 * (c->n_heads + c->n_kv_heads); /* readers and writers */
    struct adjoint_cost cost = {.n_head = estimate(source, head),
                                .n_layer_heads = n_maps * estimate(source, one_head)};
    for (size_t i = 0; i < LAYER_N_MAPS; i++) cost.n_layer += estimate(source, shapes.of[i]);
    return cost;
}

size_t adjoint_weights_missing(const struct adjoint_weights *loaded,
                               const struct weights_source *source, bool has_heads)
{
    const struct adjoint_cost cost = adjoint_weights_estimate(source);
    const size_t n_layers = source->is_streamed ? 0 : source->config->n_layers;
    size_t n_bytes = 0;
    if (!loaded->backend) n_bytes = cost.n_head + n_layers * cost.n_layer;
    if (has_heads && !loaded->has_heads) n_bytes += n_layers * cost.n_layer_heads;
    return n_bytes;
}

/* Of what is packed: on the device, or on the shelf. */
static void count_list(struct adjoint_weights *w, enum adjoint_list list)
{
    size_t *n_bytes = w->is_streamed ? &w->n_shelf_bytes : &w->n_bytes;
    for (size_t i = 0; w->lists[list] && i < w->n_layers * w->n_each[list]; i++)
        *n_bytes += w->backend->ops->packed_bytes(w->lists[list][i]);
}

static void count_bytes(struct adjoint_weights *w)
{
    w->n_bytes = w->backend->ops->packed_bytes(w->head);
    w->n_shelf_bytes = 0;
    for (unsigned list = 0; list < ADJOINT_N_LISTS; list++) count_list(w, (enum adjoint_list)list);
}

/* --- lists --------------------------------------------------------------------------------- */

static status_t make_list(struct adjoint_weights *w, enum adjoint_list list, struct error *err)
{
    const size_t n = w->n_layers * w->n_each[list];
    w->lists[list] = calloc(n, sizeof(struct packed *));
    return w->lists[list] ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu weights", n);
}

static void unload_list(struct adjoint_weights *w, enum adjoint_list list)
{
    for (size_t i = 0; w->lists[list] && i < w->n_layers * w->n_each[list]; i++)
        if (w->lists[list][i]) w->backend->ops->packed_destroy(w->lists[list][i]);
    free(w->lists[list]);
    w->lists[list] = NULL;
}

/* Those of a layer. */
static struct packed **row_of(struct adjoint_weights *w, enum adjoint_list list, size_t layer)
{
    return w->lists[list] + layer * w->n_each[list];
}

/* --- maps of layers ------------------------------------------------------------------------ */

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
    params.is_shelved = source->is_streamed;
    status = pack(out, source, params, err);
    free(host);
    return status;
}

static status_t load_layer(struct packed **out, const struct weights_source *source, size_t layer,
                           struct error *err)
{
    static read_fn *const READ[LAYER_N_MAPS] = {[LAYER_QKV] = weights_read_qkv,
                                                [LAYER_ATTN_OUT] = weights_read_attn_out,
                                                [LAYER_MLP_IN] = weights_read_mlp_in,
                                                [LAYER_MLP_OUT] = weights_read_mlp_out};
    const struct layer_shapes shapes = shapes_of(source->config);
    status_t status = ST_OK;
    for (size_t i = 0; i < LAYER_N_MAPS && status == ST_OK; i++)
        status = load_map(&out[i], source, READ[i], shapes.of[i], layer, err);
    return status;
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

status_t adjoint_weights_load(struct adjoint_weights *out, const struct weights_source *source,
                              struct error *err)
{
    const struct model_config *c = source->config;
    *out = (struct adjoint_weights){.backend = source->backend,
                                    .n_each = {[ADJOINT_MAPS] = LAYER_N_MAPS,
                                               [ADJOINT_READERS] = c->n_heads + 2 * c->n_kv_heads,
                                               [ADJOINT_WRITERS] = c->n_heads},
                                    .n_layers = c->n_layers,
                                    .is_streamed = source->is_streamed};
    status_t status = make_list(out, ADJOINT_MAPS, err);
    if (status == ST_OK) status = load_head(&out->head, source, err);
    for (size_t i = 0; i < c->n_layers && status == ST_OK; i++)
        status = load_layer(row_of(out, ADJOINT_MAPS, i), source, i, err);
    if (status == ST_OK)
        count_bytes(out);
    else
        adjoint_weights_unload(out);
    return status;
}

/* --- maps of single heads ------------------------------------------------------------------ */

/* What a head alone writes: its rows of W_O [n_heads * d_head, d_model]. */
static status_t load_writers(struct packed **out, const struct weights_source *source, size_t layer,
                             struct error *err)
{
    const struct model_config *c = source->config;
    float *host;
    status_t status = weights_read_attn_out(&host, source, layer, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < c->n_heads && status == ST_OK; i++) {
        const struct pack_params params = {.n_in = c->d_head,
                                           .n_out = c->d_model,
                                           .weights =
                                               host ? host + i * c->d_head * c->d_model : NULL,
                                           .is_shelved = source->is_streamed};
        status = pack(&out[i], source, params, err);
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
    const struct pack_params params = {.n_in = c->d_head,
                                       .n_out = c->d_model,
                                       .weights = columns,
                                       .is_transposed = true,
                                       .is_shelved = source->is_streamed};
    for (size_t r = 0; r < c->d_model && host; r++)
        memcpy(columns + r * c->d_head, host + r * ld + index * c->d_head,
               c->d_head * sizeof *columns);
    return pack(out, source, params, err);
}

static status_t load_readers(struct packed **out, const struct weights_source *source, size_t layer,
                             struct error *err)
{
    const struct model_config *c = source->config;
    float *host, *columns = calloc(c->d_model, c->d_head * sizeof *columns);
    if (!columns) return error_set(err, ST_NO_MEMORY, "a head's weights");
    status_t status = weights_read_qkv(&host, source, layer, err);
    if (status == ST_OK) {
        for (size_t i = 0; i < c->n_heads + 2 * c->n_kv_heads && status == ST_OK; i++)
            status = load_reader(&out[i], source, host, i, columns, err);
        free(host);
    }
    free(columns);
    return status;
}

status_t adjoint_weights_load_heads(struct adjoint_weights *w, const struct weights_source *source,
                                    struct error *err)
{
    status_t status = make_list(w, ADJOINT_READERS, err);
    if (status == ST_OK) status = make_list(w, ADJOINT_WRITERS, err);
    for (size_t i = 0; i < w->n_layers && status == ST_OK; i++) {
        status = load_readers(row_of(w, ADJOINT_READERS, i), source, i, err);
        if (status == ST_OK) status = load_writers(row_of(w, ADJOINT_WRITERS, i), source, i, err);
    }
    if (status != ST_OK) {
        unload_list(w, ADJOINT_READERS);
        unload_list(w, ADJOINT_WRITERS);
        return status;
    }
    w->has_heads = true;
    count_bytes(w);
    return ST_OK;
}

void adjoint_weights_unload(struct adjoint_weights *w)
{
    if (!w->backend) return;
    for (unsigned list = 0; list < ADJOINT_N_LISTS; list++) unload_list(w, (enum adjoint_list)list);
    if (w->head) w->backend->ops->packed_destroy(w->head);
    *w = (struct adjoint_weights){0};
}
