#include "worker/paper/paper_plan.h"

#include "worker/model/forward.h"

#include <stdlib.h>

/* What stands for an array that is given: accounting looks only whether there is one. */
static const float given[1] = {0};

struct walk {
    const struct paper_plan *plan;
    const struct model_config *config;
    struct launch_costs *to;
    size_t n_tokens, n_padded, row_block;
    const uint32_t *lengths; /* [n_rows] */
};

static void walk_linear(const struct walk *w, size_t n_in, size_t n_out)
{
    const struct accounted_product p = {.n_in = n_in,
                                        .n_out = n_out,
                                        .n_rows = w->n_padded,
                                        .row_block = w->row_block,
                                        .compute = w->plan->compute};
    account_matmul(w->to, &p);
}

static void walk_norm(const struct walk *w)
{
    const struct family *family = w->config->family;
    const struct norm_params p = {.kind = family->norm,
                                  .weight = given,
                                  .bias = family->norm_has_bias ? given : NULL,
                                  .n_rows = w->n_tokens,
                                  .d = w->config->d_model};
    account_norm(w->to, &p);
}

static void walk_add(const struct walk *w, size_t d, bool has_rows, bool has_bias)
{
    const struct add_params p = {.b = has_rows ? given : NULL,
                                 .bias = has_bias ? given : NULL,
                                 .n_rows = w->n_tokens,
                                 .d = d};
    account_add(w->to, &p);
}

static void walk_embed(const struct walk *w)
{
    const struct embed_params p = {.token_table = given,
                                   .position_table = w->config->family->has_rotary ? NULL : given,
                                   .n_rows = w->n_tokens,
                                   .n_ctx = w->plan->n_ctx,
                                   .d_model = w->config->d_model};
    account_embed(w->to, &p);
}

static void walk_heads(const struct walk *w)
{
    const struct model_config *c = w->config;
    const struct rotate_params rotate = {.n_rows = w->n_tokens,
                                         .n_ctx = w->plan->n_ctx,
                                         .n_heads = c->n_heads + c->n_kv_heads,
                                         .d_head = c->d_head};
    const struct attend_params attend = {.lengths = w->lengths,
                                         .n_sequences = w->plan->n_rows,
                                         .n_ctx = w->plan->n_ctx,
                                         .n_heads = c->n_heads,
                                         .n_kv_heads = c->n_kv_heads,
                                         .d_head = c->d_head};
    const size_t width = (c->n_heads + 2 * c->n_kv_heads) * c->d_head;
    walk_linear(w, c->d_model, width);
    if (c->has_attention_bias) walk_add(w, width, false, true);
    if (c->family->has_rotary) account_rotate(w->to, &rotate);
    account_attend(w->to, &attend);
    walk_linear(w, c->n_heads * c->d_head, c->d_model);
    walk_add(w, c->d_model, true, c->has_attention_bias);
}

static void walk_mlp(const struct walk *w)
{
    const struct model_config *c = w->config;
    const bool is_gated = c->family->tensors.mlp_gate != NULL;
    const struct activate_params p = {.kind = c->activation,
                                      .bias = c->has_mlp_bias ? given : NULL,
                                      .up = is_gated ? given : NULL,
                                      .up_bias = is_gated && c->has_mlp_bias ? given : NULL,
                                      .n_rows = w->n_tokens,
                                      .d = c->d_mlp};
    walk_linear(w, c->d_model, is_gated ? 2 * c->d_mlp : c->d_mlp);
    account_activate(w->to, &p);
    walk_linear(w, c->d_mlp, c->d_model);
    walk_add(w, c->d_model, true, c->has_mlp_bias);
}

/* Layers that a pass to the hook computes. */
static size_t n_layers_of(const struct paper_plan *plan)
{
    return plan->hook.layer + (plan->hook.kind == HOOK_RESID_POST ? 1 : 0);
}

status_t paper_plan_forward(const struct paper_plan *plan, struct launch_costs *to,
                            struct error *err)
{
    const size_t n_tokens = plan->n_rows * plan->n_ctx, row_block = forward_row_block(n_tokens);
    if (plan->hook.kind != HOOK_RESID_PRE && plan->hook.kind != HOOK_RESID_POST)
        return error_set(err, ST_UNSUPPORTED,
                         "the accounting knows hook_resid_pre and hook_resid_post alone");
    uint32_t *lengths = calloc(plan->n_rows, sizeof *lengths);
    if (!lengths) return error_set(err, ST_NO_MEMORY, "%zu rows", plan->n_rows);
    for (size_t r = 0; r < plan->n_rows; r++) lengths[r] = (uint32_t)plan->n_ctx;
    const struct walk w = {.plan = plan,
                           .config = plan->config,
                           .to = to,
                           .n_tokens = n_tokens,
                           .n_padded = (n_tokens + row_block - 1) / row_block * row_block,
                           .row_block = row_block,
                           .lengths = lengths};
    walk_embed(&w);
    for (size_t i = 0; i < n_layers_of(plan); i++) {
        walk_norm(&w);
        walk_heads(&w);
        walk_norm(&w);
        walk_mlp(&w);
    }
    walk_add(&w, plan->config->d_model, false, false); /* the hook's copy */
    free(lengths);
    return ST_OK;
}

void paper_plan_encode(const struct paper_plan *plan, struct launch_costs *to)
{
    const size_t n_tokens = plan->n_rows * plan->n_ctx, d = plan->config->d_model;
    const struct sparse_params sparse = {.n_in = d, .n_features = plan->n_features, .k = plan->k};
    const struct accounted_encode p = {.sparse = &sparse,
                                       .n_tokens = n_tokens,
                                       .screen = SCREEN_BF16,
                                       .candidates_per_token = plan->candidates_per_token,
                                       .fired_per_token = plan->fired_per_token,
                                       .tally_k = plan->tally_k};
    if (!plan->n_features) return;
    const float none = 0; /* a dictionary subtracts b_dec; the array is not read */
    const struct prepare_params rows = {.bias = &none, .n_rows = n_tokens, .d = d};
    account_prepare(to, &rows);
    account_encode(to, &p);
}

double paper_plan_weight_bytes(const struct paper_plan *plan)
{
    const struct model_config *c = plan->config;
    const double d = (double)c->d_model, d_q = (double)(c->n_heads * c->d_head),
                 d_kv = (double)(c->n_kv_heads * c->d_head), mlp = (double)c->d_mlp;
    const double layer = d * (2 * d_q + 2 * d_kv) + d * mlp * (c->family->tensors.mlp_gate ? 3 : 2);
    const double positions = c->family->has_rotary ? 0 : (double)c->n_positions;
    return (double)n_layers_of(plan) * layer * (plan->compute == COMPUTE_BF16 ? 2 : 4) +
           ((double)c->n_vocab + positions) * d * 4;
}
