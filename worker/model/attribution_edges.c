#include "worker/model/attribution_parts.h"

#include <string.h>

/* One row block of tokens: those from `first` on, n_tokens of them (fewer in the last block). */
struct token_block {
    size_t first, n_tokens;
};

/* Layers whose senders are spread out together, [low, high), and their senders: the embedding is
 * the first group's. */
struct sender_group {
    size_t low, high;
    size_t first, end;
};

static float *sender_rows(struct attribution *a, size_t sender)
{
    return a->senders + sender * a->forward->row_block * a->forward->config->d_model;
}

/* What d_head columns of a layer's rows mean in the stream: out [row_block, d_model]. The columns
 * are brought together first: oneDNN multiplies rows with gaps by plain loops. */
static status_t spread(struct attribution *a, const struct packed *map, const float *rows,
                       size_t ld, float *out, struct error *err)
{
    struct forward *f = a->forward;
    const size_t d_head = f->config->d_head;
    const struct add_params columns = {.a = rows,
                                       .out = a->columns,
                                       .n_rows = f->row_block,
                                       .d = d_head,
                                       .ld_a = ld,
                                       .ld_out = d_head};
    const struct matmul_params p = {.weights = map,
                                    .x = a->columns,
                                    .y = out,
                                    .ld_x = d_head,
                                    .ld_y = f->config->d_model,
                                    .n_rows = f->row_block};
    const status_t status = f->ops->add(f->exec, &columns, err);
    return status == ST_OK ? f->ops->matmul(f->exec, &p, err) : status;
}

/* What every sender of a group writes into the stream, corrupted - clean. */
static status_t spread_senders(struct attribution *a, struct token_block block,
                               const struct sender_group *group, struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t d = c->d_model, d_z = c->n_heads * c->d_head, n = f->row_block * d;
    status_t status = ST_OK;
    if (group->first == 0)
        status =
            attribution_copy(a, sender_rows(a, 0), a->embed_difference + block.first * d, n, err);
    for (size_t i = group->low; i < group->high && status == ST_OK; i++) {
        const struct attribution_layer *layer = &a->layers[i];
        const size_t first = attribute_layer_sender(&a->shape, i) - group->first;
        for (size_t h = 0; h < c->n_heads && status == ST_OK; h++) {
            const struct packed *writer;
            status = attribution_weights(a, ADJOINT_WRITERS, i, h, &writer, err);
            if (status == ST_OK)
                status = spread(a, writer, layer->z + block.first * d_z + h * c->d_head, d_z,
                                sender_rows(a, first + h), err);
        }
        if (status == ST_OK)
            status = attribution_copy(a, sender_rows(a, first + c->n_heads),
                                      layer->mlp + block.first * d, n, err);
    }
    return status;
}

/* Slopes by the stream as each of a layer's queries, keys and values reads it, through the norm. */
static status_t spread_readers(struct attribution *a, size_t index, struct token_block block,
                               struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t d = c->d_model, ld = forward_width_qkv(c);
    status_t status = ST_OK;
    for (size_t r = 0; r < a->weights->n_each[ADJOINT_READERS] && status == ST_OK; r++) {
        const struct packed *reader;
        float *rows = a->receivers + r * f->row_block * d;
        const struct norm_backward_params norm = {
            .forward = {.kind = c->family->norm,
                        .x = a->layers[index].pre + block.first * d,
                        .weight = f->weights->layers[index].norm_1.weight,
                        .eps = c->norm_eps,
                        .n_rows = block.n_tokens,
                        .d = d},
            .d_y = rows,
            .d_x = rows};
        status = attribution_weights(a, ADJOINT_READERS, index, r, &reader, err);
        if (status == ST_OK)
            status = spread(a, reader, a->layers[index].d_qkv + block.first * ld + r * c->d_head,
                            ld, rows, err);
        if (status == ST_OK) status = f->ops->norm_backward(f->exec, &norm, err);
    }
    return status;
}

/* What receives from the first n_senders: rows [n, row_block, d_model], scores [n, n_senders]. */
struct receivers {
    const float *rows;
    size_t n, n_senders;
    double *edges;
};

/* Scores of the edges from a group += receivers . senders. */
static status_t contract(struct attribution *a, const struct receivers *to,
                         const struct sender_group *group, size_t n_tokens, struct error *err)
{
    struct forward *f = a->forward;
    const size_t end = group->end < to->n_senders ? group->end : to->n_senders;
    if (end <= group->first) return ST_OK;
    const size_t n_receivers = to->n, n_senders = end - group->first;
    const size_t d = f->config->d_model, n_bytes = n_receivers * n_senders * sizeof *a->tile;
    const struct contract_params p = {.a = to->rows,
                                      .b = a->senders,
                                      .out = a->tile,
                                      .n_a = n_receivers,
                                      .n_b = n_senders,
                                      .n_terms = n_tokens,
                                      .d = d,
                                      .ld_a = f->row_block * d,
                                      .ld_b = f->row_block * d,
                                      .ld_out = n_senders};
    memset(a->tile_host, 0, n_bytes);
    status_t status = f->ops->upload(f->exec, a->tile, a->tile_host, n_bytes, err);
    if (status == ST_OK) status = f->ops->contract(f->exec, &p, err);
    if (status == ST_OK) status = f->ops->download(f->exec, a->tile_host, a->tile, n_bytes, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    for (size_t i = 0; i < n_receivers * n_senders && status == ST_OK; i++)
        to->edges[i / n_senders * to->n_senders + group->first + i % n_senders] += a->tile_host[i];
    return status;
}

static status_t score_layer(struct attribution *a, size_t index, struct token_block block,
                            const struct sender_group *group, double *edges, struct error *err)
{
    const struct attribute_shape *shape = &a->shape;
    const size_t n_before = attribute_layer_sender(shape, index);
    const struct receivers heads = {.rows = a->receivers,
                                    .n = a->weights->n_each[ADJOINT_READERS],
                                    .n_senders = n_before,
                                    .edges = edges + attribute_attention_edge(shape, index)};
    const struct receivers mlp = {.rows = a->layers[index].d_mid +
                                          block.first * a->forward->config->d_model,
                                  .n = 1,
                                  .n_senders = n_before + shape->n_heads,
                                  .edges = edges + attribute_mlp_edge(shape, index)};
    status_t status = ST_OK;
    if (group->first < n_before) status = spread_readers(a, index, block, err);
    if (status == ST_OK) status = contract(a, &heads, group, block.n_tokens, err);
    return status == ST_OK ? contract(a, &mlp, group, block.n_tokens, err) : status;
}

static status_t score_group(struct attribution *a, struct token_block block,
                            const struct sender_group *group, double *edges, struct error *err)
{
    const struct attribute_shape *shape = &a->shape;
    const struct receivers last = {.rows = a->d_last + block.first * a->forward->config->d_model,
                                   .n = 1,
                                   .n_senders = attribute_n_senders(shape),
                                   .edges =
                                       edges + attribute_attention_edge(shape, shape->n_layers)};
    status_t status = spread_senders(a, block, group, err);
    for (size_t i = group->low; i < shape->n_layers && status == ST_OK; i++)
        status = score_layer(a, i, block, group, edges, err);
    return status == ST_OK ? contract(a, &last, group, block.n_tokens, err) : status;
}

static status_t score_block(struct attribution *a, struct token_block block, double *edges,
                            struct error *err)
{
    const size_t n_layers = a->shape.n_layers;
    status_t status = ST_OK;
    for (size_t low = 0; low < n_layers && status == ST_OK; low += a->n_tile_layers) {
        const size_t left = n_layers - low;
        const size_t high = low + (left < a->n_tile_layers ? left : a->n_tile_layers);
        const struct sender_group group = {.low = low,
                                           .high = high,
                                           .first =
                                               low ? attribute_layer_sender(&a->shape, low) : 0,
                                           .end = attribute_layer_sender(&a->shape, high)};
        status = score_group(a, block, &group, edges, err);
    }
    return status;
}

status_t attribution_score_edges(struct attribution *a, double *edges, struct error *err)
{
    const struct forward *f = a->forward;
    status_t status = ST_OK;
    for (size_t first = 0; first < f->n_tokens && status == ST_OK; first += f->row_block) {
        const size_t left = f->n_tokens - first;
        const struct token_block block = {first, left < f->row_block ? left : f->row_block};
        status = score_block(a, block, edges, err);
    }
    return status;
}
