#include "worker/model/memory_plan.h"

#include "common/size.h"
#include "worker/model/forward_parts.h"

#include <stdio.h>

enum {
    PLAN_N_CTX = 128, /* of a sequence that nobody has described */
    MARGIN = 32,      /* 1 / 32 of what is free is left: allocators round up */
    LAYERS_AT_ONCE = WINDOW_N_LAYERS,
    MEMORY_FREE_SIZE = 80
};
static const double MIB = 1024.0 * 1024.0;

size_t memory_plan_token_bytes(const struct model_config *c)
{
    const size_t widths = c->d_model + forward_width_qkv(c) + c->n_heads * c->d_head + c->d_model +
                          forward_width_mlp_in(c) + c->d_mlp;
    return widths * sizeof(float);
}

size_t memory_plan_kept_bytes(const struct model_config *c)
{
    return 3 * c->d_model * sizeof(float);
}

size_t memory_plan_tokens(const struct memory_plan *plan, const struct backend *backend,
                          size_t n_bytes_each)
{
    const struct backend_memory memory = backend->ops->memory(backend);
    if (!memory.n_total) return 0;
    const size_t n_room = memory.n_free < plan->n_room ? memory.n_free : plan->n_room;
    const size_t n_tokens = n_room / 2 / n_bytes_each;
    return n_tokens ? n_tokens : 1;
}

/* *out grows by a product's weights. */
static status_t add_product(const struct memory_plan_params *p, const struct pack_params *shape,
                            size_t *out, struct error *err)
{
    const size_t n_bytes = p->backend->ops->packed_estimate(p->backend, shape);
    if (n_bytes && size_add(*out, n_bytes, out)) return ST_OK;
    return error_set(err, ST_TOO_LARGE, "backend %s has no product of %zu x %zu in %s",
                     p->backend->ops->name, shape->n_in, shape->n_out, compute_name(p->compute));
}

static status_t measure_layer(struct memory_plan *plan, const struct memory_plan_params *p,
                              struct error *err)
{
    const struct model_config *c = p->config;
    const size_t SHAPES[LAYER_N_MAPS][2] = {[LAYER_QKV] = {c->d_model, forward_width_qkv(c)},
                                            [LAYER_ATTN_OUT] = {c->n_heads * c->d_head, c->d_model},
                                            [LAYER_MLP_IN] = {c->d_model, forward_width_mlp_in(c)},
                                            [LAYER_MLP_OUT] = {c->d_mlp, c->d_model}};
    status_t status = ST_OK;
    for (size_t i = 0; i < LAYER_N_MAPS && status == ST_OK; i++) {
        const struct pack_params shape = {.n_in = SHAPES[i][0],
                                          .n_out = SHAPES[i][1],
                                          .is_transposed = !c->family->is_conv1d,
                                          .compute = p->compute};
        status = add_product(p, &shape, &plan->n_layer, err);
    }
    return status;
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

/* What whole batches keep of a token: the residual stream; of every target the values of its hook
 * point (without a dictionary, of the widest there is) and its dictionary's input. */
static size_t kept_bytes(const struct memory_needs *needs, const struct model_config *c)
{
    const size_t widest = c->d_mlp > c->d_model ? c->d_mlp : c->d_model;
    size_t n_floats = c->d_model;
    if (!needs || !needs->n_targets) return memory_plan_kept_bytes(c);
    for (size_t i = 0; i < needs->n_targets; i++)
        n_floats += needs->targets[i].n_features ? 2 * needs->targets[i].d_in : widest;
    return n_floats * sizeof(float);
}

/* Products run over whole blocks of rows, so a batch of few tokens takes a block's room. */
static size_t in_blocks(size_t n_tokens)
{
    const size_t block = forward_row_block(FORWARD_MAX_TOKENS);
    return (n_tokens + block - 1) / block * block;
}

static void measure_pass(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const struct model_config *c = p->config;
    const size_t n_rows = p->needs ? p->needs->n_rows : 0, n_ctx = plan->n_ctx;
    const size_t n_token = memory_plan_token_bytes(c), n_kept = kept_bytes(p->needs, c);
    const bool is_batch = n_rows && n_rows <= FORWARD_MAX_TOKENS / n_ctx; /* or it is refused */
    plan->n_kept = is_batch ? in_blocks(n_rows * n_ctx) * n_kept : 0;
    plan->n_sequence = n_ctx * (n_token + (is_batch ? 0 : n_kept));
    plan->n_smallest = in_blocks(n_ctx) * (n_token + (is_batch ? 0 : n_kept)) + plan->n_kept;
}

static status_t measure_dictionary(struct memory_plan *plan, const struct memory_plan_params *p,
                                   const struct memory_target *t, struct error *err)
{
    size_t n_bytes;
    const bool is_possible = size_tensor(t->d_in, t->n_features, sizeof(float), &n_bytes);
    const struct sparse_cost cost =
        is_possible ? p->backend->ops->sparse_estimate(p->backend, t->d_in, t->n_features)
                    : (struct sparse_cost){0};
    if (!cost.n_weights || !size_add(plan->n_scratch, cost.n_encoder, &plan->n_scratch) ||
        !size_add(plan->n_dictionary, t->is_there ? 0 : cost.n_weights, &plan->n_dictionary))
        return error_set(err, ST_TOO_LARGE, "backend %s has no dictionary of %zu x %zu",
                         p->backend->ops->name, t->d_in, t->n_features);
    plan->n_dictionaries += !t->is_there;
    return ST_OK;
}

/* Every dictionary; an exec for the pass, one for each encoder, and at least one for whoever loads
 * weights. */
static status_t measure_targets(struct memory_plan *plan, const struct memory_plan_params *p,
                                struct error *err)
{
    const size_t n_targets = p->needs ? p->needs->n_targets : 0;
    size_t n_encoders = 0;
    status_t status = ST_OK;
    for (size_t i = 0; i < n_targets && status == ST_OK; i++) {
        if (!p->needs->targets[i].n_features) continue;
        n_encoders++;
        status = measure_dictionary(plan, p, &p->needs->targets[i], err);
    }
    plan->n_scratch +=
        p->backend->ops->exec_bytes(p->backend) * (1 + (n_encoders ? n_encoders : 1));
    return status;
}

static size_t choose_n_ctx(const struct memory_plan_params *p)
{
    const size_t n_positions = p->config->n_positions;
    const size_t n_ctx = p->needs && p->needs->n_ctx ? p->needs->n_ctx : PLAN_N_CTX;
    return n_ctx < n_positions ? n_ctx : n_positions;
}

static status_t measure(struct memory_plan *plan, const struct memory_plan_params *p,
                        struct error *err)
{
    const struct model_config *c = p->config;
    const struct pack_params head = {
        .n_in = c->d_model, .n_out = c->n_vocab, .is_transposed = true, .compute = p->compute};
    plan->memory = p->backend->ops->memory(p->backend);
    if (plan->memory.n_total) plan->memory.n_free += p->n_own;
    plan->n_ctx = choose_n_ctx(p);
    plan->n_tables = table_bytes(c);
    plan->n_layers = c->n_layers;
    measure_pass(plan, p);
    plan->n_cache = plan->n_ctx * c->n_layers *
                    (3 * c->d_model + c->n_heads * c->d_head + forward_width_qkv(c)) *
                    sizeof(float);
    status_t status = add_product(p, &head, &plan->n_head, err);
    if (status == ST_OK) status = measure_layer(plan, p, err);
    return status == ST_OK ? measure_targets(plan, p, err) : status;
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
    plan->n_room = SIZE_MAX;
    plan->n_fitting = 1;
    if (!plan->memory.n_total) return; /* nobody knows: try */
    const bool has_room = n_all + plan->n_smallest <= n_usable;
    plan->is_streamed = !has_room && can_stream;
    if (plan->is_streamed) {
        plan->n_resident = n_streamed;
        plan->n_host = plan->n_layers * plan->n_layer;
    }
    plan->n_fitting = plan->n_room = 0;
    if (plan->n_resident + plan->n_smallest > n_usable) return;
    plan->n_room = n_usable - plan->n_resident - plan->n_kept;
    const size_t n_fitting = plan->n_room / 2 / plan->n_sequence;
    plan->n_fitting = n_fitting ? n_fitting : 1;
}

status_t memory_plan_make(struct memory_plan *out, const struct memory_plan_params *params,
                          struct error *err)
{
    struct memory_plan plan = {.n_ctx = 0};
    const status_t status = measure(&plan, params, err);
    if (status != ST_OK) return status;
    choose(&plan, params);
    *out = plan;
    return ST_OK;
}

status_t memory_plan_check(const struct memory_plan *plan, const struct backend *backend,
                           struct error *err)
{
    if (plan->n_fitting) return ST_OK;
    const size_t n_least = plan->n_resident + plan->n_smallest;
    const size_t n_weights = plan->n_resident - plan->n_dictionary - plan->n_scratch;
    return error_set(err, ST_NO_MEMORY,
                     "does not fit on %s%s: it takes %zu bytes (%.1f MiB: weights %.1f, %zu "
                     "dictionaries %.1f, scratch %.1f, a batch with a pass over %zu tokens %.1f), "
                     "%zu of %zu bytes are free",
                     backend->ops->describe(backend), plan->is_streamed ? ", even streamed" : "",
                     n_least, (double)n_least / MIB, (double)n_weights / MIB, plan->n_dictionaries,
                     (double)plan->n_dictionary / MIB, (double)plan->n_scratch / MIB, plan->n_ctx,
                     (double)plan->n_smallest / MIB, plan->memory.n_free, plan->memory.n_total);
}

/* "... 12.5 of 80.0 MiB free" */
static void write_free(const struct memory_plan *plan, char out[MEMORY_FREE_SIZE])
{
    if (plan->memory.n_total)
        (void)snprintf(out, MEMORY_FREE_SIZE, "%.1f of %.1f MiB free",
                       (double)plan->memory.n_free / MIB, (double)plan->memory.n_total / MIB);
    else
        (void)snprintf(out, MEMORY_FREE_SIZE, "what is free is not known");
}

const char *memory_plan_text(const struct memory_plan *plan, char out[MEMORY_PLAN_TEXT_SIZE])
{
    char n_free[MEMORY_FREE_SIZE];
    write_free(plan, n_free);
    (void)snprintf(out, MEMORY_PLAN_TEXT_SIZE,
                   "%s, %.1f MiB resident (tables %.1f, head %.1f, %zu layers of %.1f, %zu "
                   "dictionaries %.1f, scratch %.1f), %zu sequences of %zu tokens at %.2f MiB, %s",
                   plan->is_streamed ? "layers streamed" : "all layers there",
                   (double)plan->n_resident / MIB, (double)plan->n_tables / MIB,
                   (double)plan->n_head / MIB, plan->n_layers, (double)plan->n_layer / MIB,
                   plan->n_dictionaries, (double)plan->n_dictionary / MIB,
                   (double)plan->n_scratch / MIB, plan->n_fitting, plan->n_ctx,
                   (double)plan->n_sequence / MIB, n_free);
    return out;
}
