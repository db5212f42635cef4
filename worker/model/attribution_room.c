/* How many prompts an attribution has on the device at once: as many as were asked for, halved
 * until they fit beside the weights that derivatives take, and as often as the device was found
 * full; and how many layers' senders are spread out at once in what is left. What does not fit at
 * all is refused with the numbers, before anything is loaded. */
#include "worker/model/attribution_parts.h"

enum { MOST_ROW_BLOCK = 64 };

static size_t up_to_blocks(size_t n, size_t block)
{
    return (n + block - 1) / block * block;
}

/* Rows that are spread out of a token, at least: heads and groups that read, of a layer; the
 * embedding and a layer's senders. */
static size_t tile_columns(const struct attribution_size *s)
{
    const struct model_config *c = s->config;
    return s->has_edges ? c->n_heads + 2 * c->n_kv_heads + 1 + c->n_heads + 1 : 0;
}

size_t attribution_row_block(const struct attribution_size *s)
{
    const size_t block = forward_row_block(s->n_prompts * s->n_ctx);
    return block < MOST_ROW_BLOCK ? block : MOST_ROW_BLOCK;
}

/* Device floats of a token: the pass's buffers, what is kept of every layer, the way back. */
static size_t token_floats(const struct attribution_size *s)
{
    const struct model_config *c = s->config;
    const size_t d = c->d_model, d_z = c->n_heads * c->d_head, kv = 2 * c->n_kv_heads * c->d_head;
    const size_t slopes = (s->has_edges ? c->n_layers : 1) * (forward_width_qkv(c) + d);
    const size_t layers = c->n_layers * (2 * d + d_z + kv) + slopes;
    const size_t most_groups = c->n_heads > 2 * c->n_kv_heads ? c->n_heads : 2 * c->n_kv_heads;
    const size_t back = 6 * d + d_z + forward_width_mlp_in(c) + c->d_mlp + kv + most_groups;
    return memory_plan_token_bytes(c) / sizeof(float) + d + layers + back;
}

/* Of products, of attention backward and of contractions. */
static size_t scratch_bytes(const struct attribution_size *s, size_t n)
{
    const struct model_config *c = s->config;
    const struct attribute_shape shape = attribution_shape(c);
    const size_t block = attribution_row_block(s), widest = forward_widest_input(c);
    const struct scratch_shape scratch = {
        .row_block = block,
        .n_in = c->n_vocab > widest ? c->n_vocab : widest, /* slopes by the logits */
        .compute = s->compute,
        .n_queries = up_to_blocks(n * s->n_ctx, block) * c->n_heads,
        .n_a = s->has_edges ? c->n_heads + 2 * c->n_kv_heads : 0,
        .n_b = s->has_edges ? attribute_n_senders(&shape) : 0,
        .n_terms = block,
        .d = c->d_model};
    return s->backend->ops->scratch_estimate(s->backend, &scratch);
}

size_t attribution_batch_bytes(const struct attribution_size *s, size_t n)
{
    const struct model_config *c = s->config;
    const size_t block = attribution_row_block(s);
    const size_t n_floats = up_to_blocks(n * s->n_ctx, block) * token_floats(s) +
                            3 * up_to_blocks(n, block) * c->n_vocab +
                            tile_columns(s) * block * c->d_model;
    return n_floats * sizeof(float) + scratch_bytes(s, n);
}

bool attribution_can_shrink(const struct attribution_size *s, size_t n_prompts)
{
    const size_t block = attribution_row_block(s);
    return n_prompts > 1 && up_to_blocks(n_prompts / 2 * s->n_ctx, block) <
                                up_to_blocks(n_prompts * s->n_ctx, block);
}

size_t attribution_least_bytes(const struct attribution_size *s)
{
    size_t n = s->n_prompts;
    while (attribution_can_shrink(s, n)) n /= 2;
    return attribution_batch_bytes(s, n);
}

/* On the device beside the batch: weights that are not there yet, windows, an exec. */
static size_t beside_bytes(const struct attribution_params *p)
{
    const struct memory_plan *plan = model_plan(p->model);
    const struct adjoint_cost cost = adjoint_weights_estimate(model_source(p->model));
    const struct backend *backend = model_backend(p->model);
    const size_t n_layer = plan->n_layer + cost.n_layer + (p->has_edges ? cost.n_layer_heads : 0);
    return model_adjoint_missing(p->model, p->has_edges) + backend->ops->exec_bytes(backend) +
           (model_source(p->model)->is_streamed ? WINDOW_N_LAYERS * n_layer : 0);
}

/* For a batch: what is free, but no more than this thread's share of what the plan left. */
static size_t room_for(const struct attribution_params *p, size_t n_free, size_t n_beside)
{
    const struct memory_plan *plan = model_plan(p->model);
    const size_t n_share = plan->n_room / plan->n_threads;
    const size_t n_left = n_free > n_beside ? n_free - n_beside : 0;
    return plan->n_threads > 1 && n_share < n_left ? n_share : n_left;
}

/* Of further layers, beside the one that every batch has room for; n_room SIZE_MAX: unknown. Half
 * of the room is left to whoever comes. */
static size_t choose_tile_layers(const struct attribution_size *s, size_t n_room)
{
    const size_t n_layer =
        (s->config->n_heads + 1) * attribution_row_block(s) * s->config->d_model * sizeof(float);
    const bool is_host = s->backend->ops->memory_is_host;
    const size_t n_bytes =
        is_host && n_room > ATTRIBUTION_TILE_BYTES ? ATTRIBUTION_TILE_BYTES : n_room / 2;
    const size_t n_more = n_bytes / n_layer;
    return n_more < s->config->n_layers - 1 ? 1 + n_more : s->config->n_layers;
}

status_t attribution_choose_prompts(const struct attribution_params *p,
                                    const struct attribution_size *size, size_t *out,
                                    size_t *tile_layers, struct error *err)
{
    struct backend *backend = model_backend(p->model);
    const struct backend_memory memory = backend->ops->memory(backend);
    const size_t n_beside = beside_bytes(p), n_room = room_for(p, memory.n_free, n_beside);
    size_t n = p->n_prompts;
    for (unsigned i = 0; i < model_n_halvings(p->model); i++)
        if (attribution_can_shrink(size, n)) n /= 2;
    while (memory.n_total && attribution_can_shrink(size, n) &&
           attribution_batch_bytes(size, n) > n_room)
        n /= 2;
    *out = n;
    const size_t n_batch = attribution_batch_bytes(size, n);
    *tile_layers = choose_tile_layers(size, !memory.n_total    ? SIZE_MAX
                                            : n_room > n_batch ? n_room - n_batch
                                                               : 0);
    if (!memory.n_total || n_beside + attribution_batch_bytes(size, n) <= memory.n_free)
        return ST_OK;
    return error_set(err, ST_NO_MEMORY,
                     "an attribution does not fit on %s beside its model%s: derivatives take %zu "
                     "bytes of weights, %zu prompts of %zu tokens %zu, %zu of %zu bytes are free",
                     backend->ops->describe(backend),
                     model_source(p->model)->is_streamed ? " (which is streamed)" : "", n_beside, n,
                     p->n_ctx, attribution_batch_bytes(size, n), memory.n_free, memory.n_total);
}
