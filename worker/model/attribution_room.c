/* How many prompts an attribution has on the device at once: as many as were asked for, halved
 * until they fit beside the weights that derivatives take, and as often as the device was found
 * full. What does not fit at all is refused with the numbers, before anything is loaded. */
#include "worker/model/attribution_parts.h"

static size_t up_to_blocks(size_t n, size_t block)
{
    return (n + block - 1) / block * block;
}

/* Device floats of a token: the pass's buffers, what is kept of every layer, the way back. */
static size_t token_floats(const struct attribution_params *p)
{
    const struct model_config *c = model_config(p->model);
    const size_t d = c->d_model, d_z = c->n_heads * c->d_head, kv = 2 * c->n_kv_heads * c->d_head;
    const size_t slopes = (p->has_edges ? c->n_layers : 1) * (forward_width_qkv(c) + d);
    const size_t layers = c->n_layers * (2 * d + d_z + kv) + slopes;
    const size_t most_groups = c->n_heads > 2 * c->n_kv_heads ? c->n_heads : 2 * c->n_kv_heads;
    const size_t back = 6 * d + d_z + forward_width_mlp_in(c) + c->d_mlp + kv + most_groups;
    return memory_plan_token_bytes(c) / sizeof(float) + d + layers + back;
}

/* On the device, of a batch of n prompts. */
static size_t batch_bytes(const struct attribution_params *p, size_t n, size_t block)
{
    const struct model_config *c = model_config(p->model);
    const struct attribute_shape shape = attribution_shape(c);
    const size_t n_columns =
        p->has_edges ? attribute_n_senders(&shape) + c->n_heads + 2 * c->n_kv_heads : 0;
    const size_t n_floats = up_to_blocks(n * p->n_ctx, block) * token_floats(p) +
                            3 * up_to_blocks(n, block) * c->n_vocab +
                            n_columns * block * c->d_model;
    return n_floats * sizeof(float);
}

bool attribution_can_shrink(size_t n_prompts, size_t n_ctx, size_t block)
{
    return n_prompts > 1 &&
           up_to_blocks(n_prompts / 2 * n_ctx, block) < up_to_blocks(n_prompts * n_ctx, block);
}

status_t attribution_choose_prompts(const struct attribution_params *p, size_t block, size_t *out,
                                    struct error *err)
{
    struct backend *backend = model_backend(p->model);
    const struct backend_memory memory = backend->ops->memory(backend);
    const struct memory_plan *plan = model_plan(p->model);
    const bool is_streamed = plan->is_streamed;
    const size_t n_window = is_streamed ? WINDOW_N_LAYERS * plan->n_layer : 0;
    const size_t n_weights = model_adjoint_missing(p->model, p->has_edges) + n_window +
                             backend->ops->exec_bytes(backend);
    size_t n = p->n_prompts;
    for (unsigned i = 0; i < model_n_halvings(p->model); i++)
        if (attribution_can_shrink(n, p->n_ctx, block)) n /= 2;
    while (memory.n_total && attribution_can_shrink(n, p->n_ctx, block) &&
           n_weights + batch_bytes(p, n, block) > memory.n_free)
        n /= 2;
    *out = n;
    if (!memory.n_total || n_weights + batch_bytes(p, n, block) <= memory.n_free) return ST_OK;
    return error_set(err, ST_NO_MEMORY,
                     "an attribution does not fit on %s beside its model%s: derivatives take %zu "
                     "bytes of weights, %zu prompts of %zu tokens %zu, %zu of %zu bytes are free",
                     backend->ops->describe(backend),
                     is_streamed ? " (which is streamed; they cannot be)" : "", n_weights, n,
                     p->n_ctx, batch_bytes(p, n, block), memory.n_free, memory.n_total);
}
