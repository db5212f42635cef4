#include "worker/model/memory_measure.h"

#include "common/size.h"
#include "worker/model/attribution.h"
#include "worker/model/forward_parts.h"
#include "worker/model/variants.h"

enum { PLAN_N_CTX = 128 /* of a sequence that nobody has described */ };

static const struct memory_needs NO_NEEDS;

static const struct memory_needs *needs_of(const struct memory_plan_params *p)
{
    return p->needs ? p->needs : &NO_NEEDS;
}

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

/* --- weights ------------------------------------------------------------------------------- */

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

static void measure_adjoint(struct memory_plan *plan, const struct memory_plan_params *p)
{
    /* what backend.h's functions of estimates read of a backend is const */
    const union {
        const struct backend *read;
        struct backend *backend;
    } of = {.read = p->backend};
    const struct weights_source source = {
        .config = p->config, .backend = of.backend, .compute = p->compute};
    const struct adjoint_cost cost = adjoint_weights_estimate(&source);
    const enum memory_adjoint adjoint = needs_of(p)->adjoint;
    if (adjoint == MEMORY_NO_ADJOINT) return;
    plan->n_adjoint_head = cost.n_head;
    plan->n_adjoint_layer =
        cost.n_layer + (adjoint == MEMORY_ADJOINT_EDGES ? cost.n_layer_heads : 0);
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

/* --- passes -------------------------------------------------------------------------------- */

/* What whole batches keep of a token: the residual stream; of every target the values of its hook
 * point (without a dictionary, of the widest there is) and its dictionary's input. */
static size_t kept_bytes(const struct memory_needs *needs, const struct model_config *c)
{
    const size_t widest = c->d_mlp > c->d_model ? c->d_mlp : c->d_model;
    size_t n_floats = c->d_model;
    if (!needs->n_targets) return memory_plan_kept_bytes(c);
    for (size_t i = 0; i < needs->n_targets; i++)
        n_floats += needs->targets[i].n_features ? 2 * needs->targets[i].d_in : widest;
    return n_floats * sizeof(float);
}

/* Products run over whole blocks of rows, so a batch of few tokens takes a block's room. */
static size_t up_to_blocks(size_t n_tokens, size_t block)
{
    return (n_tokens + block - 1) / block * block;
}

static size_t in_blocks(size_t n_tokens)
{
    return up_to_blocks(n_tokens, forward_row_block(FORWARD_MAX_TOKENS));
}

/* Or it is refused when its passes are made. */
static bool is_batch(size_t n_rows, size_t n_ctx)
{
    return n_rows && n_rows <= FORWARD_MAX_TOKENS / n_ctx;
}

static void measure_pass(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const struct model_config *c = p->config;
    const size_t n_rows = needs_of(p)->n_rows, n_ctx = plan->n_ctx;
    const size_t n_token = memory_plan_token_bytes(c), n_kept = kept_bytes(needs_of(p), c);
    const bool is_known = is_batch(n_rows, n_ctx);
    plan->n_windows = 1;
    plan->n_kept = is_known ? in_blocks(n_rows * n_ctx) * n_kept : 0;
    plan->n_sequence = n_ctx * (n_token + (is_known ? 0 : n_kept));
    plan->n_smallest = in_blocks(n_ctx) * (n_token + (is_known ? 0 : n_kept)) + plan->n_kept;
}

/* A pass of its own makes the values that things are set to, in parts; that of the variants is over
 * whole copies of the prompts, of which it has more where there is room. */
static void measure_ablation(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const struct model_config *c = p->config;
    const size_t n_tokens = needs_of(p)->n_prompts * plan->n_ctx;
    plan->n_windows = 2;
    plan->n_clean = variants_clean_bytes(c, n_tokens);
    plan->n_copies = variants_least_bytes(c, n_tokens);
    plan->n_kept = in_blocks(n_tokens) * kept_bytes(needs_of(p), c) + plan->n_copies;
    plan->n_sequence = plan->n_ctx * variants_token_bytes(c);
    plan->n_smallest = plan->n_kept + in_blocks(plan->n_ctx) * memory_plan_token_bytes(c);
}

/* A pass over whole prompts, and all that is kept of it. */
static void measure_attribution(struct memory_plan *plan, const struct memory_plan_params *p)
{
    const struct attribution_size size = {p->config,   needs_of(p)->n_prompts,
                                          plan->n_ctx, needs_of(p)->adjoint == MEMORY_ADJOINT_EDGES,
                                          p->backend,  p->compute};
    plan->n_windows = 1;
    plan->n_sequence = attribution_batch_bytes(&size, 1);
    plan->n_smallest = attribution_least_bytes(&size);
}

static bool is_attribution(const struct memory_plan *plan, const struct memory_plan_params *p)
{
    return needs_of(p)->adjoint != MEMORY_NO_ADJOINT &&
           is_batch(needs_of(p)->n_prompts, plan->n_ctx);
}

static bool is_ablation(const struct memory_plan *plan, const struct memory_plan_params *p)
{
    return needs_of(p)->adjoint == MEMORY_NO_ADJOINT &&
           is_batch(needs_of(p)->n_prompts, plan->n_ctx);
}

/* --- what a thread computes with ----------------------------------------------------------- */

static status_t measure_dictionary(struct memory_plan *plan, const struct memory_plan_params *p,
                                   const struct memory_target *t, struct error *err)
{
    size_t n_bytes;
    const bool is_possible = size_tensor(t->d_in, t->n_features, sizeof(float), &n_bytes);
    const struct sparse_cost cost =
        is_possible
            ? p->backend->ops->sparse_estimate(p->backend, t->d_in, t->n_features, t->tally_k)
            : (struct sparse_cost){0};
    if (!cost.n_weights || !size_add(plan->n_scratch, cost.n_encoder, &plan->n_scratch) ||
        !size_add(plan->n_dictionary, t->is_there ? 0 : cost.n_weights, &plan->n_dictionary))
        return error_set(err, ST_TOO_LARGE,
                         "backend %s has no dictionary of %zu x %zu with a tally of %zu values",
                         p->backend->ops->name, t->d_in, t->n_features, t->tally_k);
    plan->n_dictionaries += !t->is_there;
    return ST_OK;
}

/* A capture's, if its batch is of a size that is digested. */
static status_t measure_digest(struct memory_plan *plan, const struct memory_plan_params *p,
                               const struct memory_target *t, struct error *err)
{
    const struct digest_shape shape = {t->n_features, needs_of(p)->n_rows * plan->n_ctx,
                                       t->digest_windows};
    if (!t->digest_windows || !backend_supports(p->backend, BACKEND_DIGEST)) return ST_OK;
    if (size_add(plan->n_digest, p->backend->ops->digest_estimate(p->backend, &shape),
                 &plan->n_digest))
        return ST_OK;
    return error_set(err, ST_TOO_LARGE, "digests of %zu features", t->n_features);
}

/* Rounded rows of a pass's products. An attribution's are a part of its batch. */
static size_t product_scratch(const struct memory_plan *plan, const struct memory_plan_params *p)
{
    const struct scratch_shape shape = {.row_block = forward_row_block(FORWARD_MAX_TOKENS),
                                        .n_in = forward_widest_input(p->config),
                                        .compute = p->compute};
    return is_attribution(plan, p) ? 0 : p->backend->ops->scratch_estimate(p->backend, &shape);
}

/* Every dictionary; an exec for each pass, one for each encoder, and at least one for whoever loads
 * weights. */
static status_t measure_targets(struct memory_plan *plan, const struct memory_plan_params *p,
                                struct error *err)
{
    const struct memory_needs *needs = needs_of(p);
    size_t n_encoders = 0;
    status_t status = ST_OK;
    for (size_t i = 0; i < needs->n_targets && status == ST_OK; i++) {
        if (!needs->targets[i].n_features) continue;
        n_encoders++;
        status = measure_dictionary(plan, p, &needs->targets[i], err);
        if (status == ST_OK) status = measure_digest(plan, p, &needs->targets[i], err);
    }
    plan->n_scratch +=
        p->backend->ops->exec_bytes(p->backend) * (plan->n_windows + (n_encoders ? n_encoders : 1));
    plan->n_scratch += plan->n_windows * product_scratch(plan, p);
    return status;
}

/* Of the smallest pass. */
static status_t measure_comparisons(struct memory_plan *plan, const struct memory_plan_params *p,
                                    struct error *err)
{
    const struct memory_needs *needs = needs_of(p);
    const size_t n_prompts = is_ablation(plan, p) ? needs->n_prompts : 0;
    const size_t n_rows = n_prompts ? 2 * n_prompts : in_blocks(plan->n_ctx);
    const size_t block = forward_row_block(n_prompts ? n_prompts * plan->n_ctx : n_rows);
    const struct diverge_shape shape = {.n_rows = up_to_blocks(n_rows, block),
                                        .n_out = p->config->n_vocab,
                                        .n_pairs = n_rows,
                                        .n_columns = needs->n_columns};
    size_t n_logits;
    if (!needs->is_compared) return ST_OK;
    plan->n_compare = p->backend->ops->diverge_estimate(p->backend, &shape);
    if (plan->n_compare && size_tensor(shape.n_rows, shape.n_columns, sizeof(float), &n_logits) &&
        size_add(plan->n_compare, n_logits + n_rows * sizeof(struct divergence), &plan->n_compare))
        return ST_OK;
    return error_set(err, ST_TOO_LARGE, "backend %s compares no %zu rows of %zu logits",
                     p->backend->ops->name, shape.n_rows, shape.n_out);
}

static size_t choose_n_ctx(const struct memory_plan_params *p)
{
    const size_t n_positions = p->config->n_positions;
    const size_t n_ctx = needs_of(p)->n_ctx ? needs_of(p)->n_ctx : PLAN_N_CTX;
    return n_ctx < n_positions ? n_ctx : n_positions;
}

status_t memory_measure(struct memory_plan *plan, const struct memory_plan_params *p,
                        struct error *err)
{
    const struct model_config *c = p->config;
    const struct pack_params head = {
        .n_in = c->d_model, .n_out = c->n_vocab, .is_transposed = true, .compute = p->compute};
    plan->memory = p->backend->ops->memory(p->backend);
    if (plan->memory.n_total) plan->memory.n_free += p->n_own;
    plan->n_ctx = choose_n_ctx(p);
    plan->n_threads = needs_of(p)->n_threads ? needs_of(p)->n_threads : 1;
    plan->n_tables = table_bytes(c);
    plan->n_layers = c->n_layers;
    plan->n_cache = variants_clean_bytes(c, plan->n_ctx);
    measure_adjoint(plan, p);
    (is_ablation(plan, p)      ? measure_ablation
     : is_attribution(plan, p) ? measure_attribution
                               : measure_pass)(plan, p);
    status_t status = add_product(p, &head, &plan->n_head, err);
    if (status == ST_OK) status = measure_layer(plan, p, err);
    if (status == ST_OK) status = measure_targets(plan, p, err);
    return status == ST_OK ? measure_comparisons(plan, p, err) : status;
}
