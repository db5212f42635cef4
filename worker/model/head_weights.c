#include "worker/model/head_weights.h"

#include <stdlib.h>
#include <string.h>

static void unload(const struct backend_ops *ops, struct packed **list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        if (list[i]) ops->packed_destroy(list[i]);
    free(list);
}

void head_weights_unload(struct head_weights *w)
{
    unload(w->ops, w->in, w->n_in);
    unload(w->ops, w->out, w->n_out);
    *w = (struct head_weights){.ops = NULL};
}

/* A block of a host matrix whose rows are ld apart. */
struct block {
    const float *values;
    size_t n_in, n_out, ld;
};

static status_t pack(struct packed **out, const struct model *model, struct block from,
                     float *scratch, struct error *err)
{
    struct backend *backend = model_backend(model);
    for (size_t i = 0; i < from.n_in; i++)
        memcpy(scratch + i * from.n_out, from.values + i * from.ld, from.n_out * sizeof *scratch);
    const struct pack_params params = {.n_in = from.n_in,
                                       .n_out = from.n_out,
                                       .weights = scratch,
                                       .compute = model_compute(model)};
    return backend->ops->packed_create(out, backend, &params, err);
}

static status_t pack_in(struct head_weights *w, const struct model *model, size_t layer,
                        float *scratch, struct error *err)
{
    const struct model_config *c = model_config(model);
    float *host = NULL;
    status_t status = weights_read_qkv(&host, model_source(model), layer, err);
    for (size_t i = 0; i < w->n_in && status == ST_OK; i++) {
        const struct block block = {host + i * c->d_head, c->d_model, c->d_head,
                                    w->n_in * c->d_head};
        status = pack(&w->in[i], model, block, scratch, err);
    }
    free(host);
    return status;
}

static status_t pack_out(struct head_weights *w, const struct model *model, size_t layer,
                         float *scratch, struct error *err)
{
    const struct model_config *c = model_config(model);
    float *host = NULL;
    status_t status = weights_read_attn_out(&host, model_source(model), layer, err);
    for (size_t i = 0; i < w->n_out && status == ST_OK; i++) {
        const struct block block = {host + i * c->d_head * c->d_model, c->d_head, c->d_model,
                                    c->d_model};
        status = pack(&w->out[i], model, block, scratch, err);
    }
    free(host);
    return status;
}

status_t head_weights_load(struct head_weights *out, const struct model *model, size_t layer,
                           struct error *err)
{
    const struct model_config *c = model_config(model);
    struct head_weights w = {.ops = model_backend(model)->ops,
                             .n_in = c->n_heads + 2 * c->n_kv_heads,
                             .n_out = c->n_heads};
    float *scratch = calloc(c->d_model, c->d_head * sizeof *scratch);
    w.in = calloc(w.n_in, sizeof(struct packed *));
    w.out = calloc(w.n_out, sizeof(struct packed *));
    status_t status = scratch && w.in && w.out
                          ? pack_in(&w, model, layer, scratch, err)
                          : error_set(err, ST_NO_MEMORY, "heads of layer %zu", layer);
    if (status == ST_OK) status = pack_out(&w, model, layer, scratch, err);
    free(scratch);
    if (status != ST_OK) head_weights_unload(&w);
    *out = w;
    return status;
}
