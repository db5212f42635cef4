#include "worker/model/memory_plan.h"

#include "worker/model/forward_parts.h"

#include <stdio.h>

enum {
    PLAN_N_CTX = 128, /* of a sequence that nobody has described */
    MARGIN = 32,      /* 1 / 32 of what is free is left: allocators round up */
    LAYERS_AT_ONCE = WINDOW_N_LAYERS
};
static const double MIB = 1024.0 * 1024.0;

size_t memory_plan_token_bytes(const struct model_config *c)
{
    const size_t widths = c->d_model + forward_width_qkv(c) + c->n_heads * c->d_head + c->d_model +
                          forward_width_mlp_in(c) + c->d_mlp;
    return widths * sizeof(float);
}

/* The residual stream, a hook point's values, the dictionary's input. */
size_t memory_plan_kept_bytes(const struct model_config *c)
{
    return 3 * c->d_model * sizeof(float);
}

size_t memory_plan_tokens(const struct backend *backend, size_t n_bytes_each)
{
    const struct backend_memory memory = backend->ops->memory(backend);
    if (!memory.n_total) return 0;
    const size_t n_tokens = memory.n_free / 2 / n_bytes_each;
    return n_tokens ? n_tokens : 1;
}

static size_t product_bytes(const struct memory_plan_params *p, size_t n_in, size_t n_out)
{
    const struct pack_params params = {.n_in = n_in,
                                       .n_out = n_out,
                                       .is_transposed = !p->config->family->is_conv1d,
                                       .compute = p->compute};
    return p->backend->ops->packed_estimate(p->backend, &params);
}

static size_t layer_bytes(const struct memory_plan_params *p)
{
    const struct model_config *c = p->config;
    return product_bytes(p, c->d_model, forward_width_qkv(c)) +
           product_bytes(p, c->n_heads * c->d_head, c->d_model) +
           product_bytes(p, c->d_model, forward_width_mlp_in(c)) +
           product_bytes(p, c->d_mlp, c->d_model);
}

static size_t table_bytes(const struct model_config *c)
{
    const size_t n_norms = 2 * c->n_layers + 1;
    size_t n = c->n_vocab * c->d_model;
    if (c->family->tensors.position_embed) n += c->n_positions * c->d_model;
    n += n_norms * c->d_model * (c->family->norm_has_bias ? 2 : 1);
    if (c->has_attention_bias) n += c->n_layers * (forward_width_qkv(c) + c->d_model);
    if (c->has_mlp_bias) n += c->n_layers * (forward_width_mlp_in(c) + c->d_model);
    return n * sizeof(float);
}

/* Products run over whole blocks of rows, so a batch of few tokens takes a block's room. */
static size_t smallest_pass(size_t n_ctx, const struct model_config *c)
{
    const size_t block = forward_row_block(FORWARD_MAX_TOKENS);
    const size_t n_tokens = (n_ctx + block - 1) / block * block;
    return n_tokens * (memory_plan_token_bytes(c) + memory_plan_kept_bytes(c));
}

static void measure(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const struct model_config *c = p->config;
    const struct backend_ops *ops = p->backend->ops;
    const size_t default_n_ctx = c->n_positions < PLAN_N_CTX ? c->n_positions : PLAN_N_CTX;
    const struct sparse_cost dictionary =
        p->n_features ? ops->sparse_estimate(p->backend, p->d_in, p->n_features)
                      : (struct sparse_cost){0};
    const struct pack_params head = {
        .n_in = c->d_model, .n_out = c->n_vocab, .is_transposed = true, .compute = p->compute};
    plan->memory = ops->memory(p->backend);
    plan->n_ctx = p->n_ctx ? p->n_ctx : default_n_ctx;
    plan->n_tables = table_bytes(c);
    plan->n_head = ops->packed_estimate(p->backend, &head);
    plan->n_layers = c->n_layers;
    plan->n_layer = layer_bytes(p);
    plan->n_dictionary = dictionary.n_weights;
    /* two execs: the pass's, and that of whoever loads weights or encodes; the encoder's scratch */
    plan->n_scratch = ops->exec_bytes(p->backend) * 2 + dictionary.n_encoder;
    plan->n_sequence = plan->n_ctx * (memory_plan_token_bytes(c) + memory_plan_kept_bytes(c));
    plan->n_smallest = smallest_pass(plan->n_ctx, c);
    plan->n_cache = plan->n_ctx * c->n_layers *
                    (3 * c->d_model + c->n_heads * c->d_head + forward_width_qkv(c)) *
                    sizeof(float);
}

/* How many layers may be there, then how many sequences. The head comes with the first task that
 * reads logits; what streams may still find room for it by smaller batches. */
static void choose(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const size_t n_fixed = plan->n_tables + plan->n_dictionary + plan->n_scratch;
    const size_t n_all = n_fixed + plan->n_head + plan->n_layers * plan->n_layer;
    const size_t n_streamed = n_fixed + LAYERS_AT_ONCE * plan->n_layer;
    const size_t n_usable = plan->memory.n_free - plan->memory.n_free / MARGIN;
    const bool can_stream =
        backend_supports(p->backend, BACKEND_STREAMING) && plan->n_layers > LAYERS_AT_ONCE;
    plan->n_resident = n_all;
    plan->n_fitting = 1;
    if (!plan->memory.n_total) return; /* nobody knows: try */
    const bool has_room = n_all + plan->n_smallest <= n_usable;
    plan->is_streamed = !has_room && can_stream;
    if (plan->is_streamed) {
        plan->n_resident = n_streamed;
        plan->n_host = plan->n_layers * plan->n_layer;
    }
    plan->n_fitting = 0;
    if (plan->n_resident + plan->n_smallest > n_usable) return;
    const size_t n_fitting = (n_usable - plan->n_resident) / 2 / plan->n_sequence;
    plan->n_fitting = n_fitting ? n_fitting : 1;
}

status_t memory_plan_make(struct memory_plan *out, const struct memory_plan_params *params,
                          struct error *err)
{
    struct memory_plan plan = {.n_ctx = 0};
    measure(&plan, params);
    if (!plan.n_layer || !plan.n_head)
        return error_set(err, ST_TOO_LARGE, "weights of %zu x %zu", params->config->d_model,
                         params->config->n_vocab);
    choose(&plan, params);
    *out = plan;
    return ST_OK;
}

status_t memory_plan_check(const struct memory_plan *plan, const struct backend *backend,
                           struct error *err)
{
    if (plan->n_fitting) return ST_OK;
    const size_t n_least = plan->n_resident + plan->n_smallest;
    return error_set(
        err, ST_NO_MEMORY,
        "does not fit on %s%s: it takes %zu bytes (%.1f MiB) for %zu tokens at a time, "
        "%zu of %zu bytes are free",
        backend->ops->describe(backend), plan->is_streamed ? ", even streamed" : "", n_least,
        (double)n_least / MIB, plan->n_ctx, plan->memory.n_free, plan->memory.n_total);
}

const char *memory_plan_text(const struct memory_plan *plan, char out[MEMORY_PLAN_TEXT_SIZE])
{
    (void)snprintf(out, MEMORY_PLAN_TEXT_SIZE,
                   "%s, %.1f MiB resident (tables %.1f, head %.1f, %zu layers of %.1f, dictionary "
                   "%.1f, scratch %.1f), %zu sequences of %zu tokens at %.2f MiB, %.1f of %.1f MiB "
                   "free",
                   plan->is_streamed ? "layers streamed" : "all layers there",
                   (double)plan->n_resident / MIB, (double)plan->n_tables / MIB,
                   (double)plan->n_head / MIB, plan->n_layers, (double)plan->n_layer / MIB,
                   (double)plan->n_dictionary / MIB, (double)plan->n_scratch / MIB, plan->n_fitting,
                   plan->n_ctx, (double)plan->n_sequence / MIB, (double)plan->memory.n_free / MIB,
                   (double)plan->memory.n_total / MIB);
    return out;
}
