#include "common/size.h"
#include "worker/model/attribution_parts.h"

#include <string.h>

/* A hook that no stage before the head serves keeps the stages from stopping early. */
static const struct hook_point at_the_end = {HOOK_LOGITS, 0};

static void begin_pass(struct attribution *a)
{
    struct forward *f = a->forward;
    f->input = &a->input;
    f->hooks = &at_the_end;
    f->n_hooks = 1;
    f->n_seen = 0;
    f->out_acts = NULL;
    f->order = LAYERS_ROUND;
}

/* --- prompts ------------------------------------------------------------------------------- */

static status_t check_row(const struct attribution *a, const struct attribution_prompts *p,
                          size_t row, const uint32_t *tokens, struct error *err)
{
    const size_t n_vocab = a->forward->config->n_vocab, n_ctx = a->forward->n_ctx;
    if (!p->lengths[row] || p->lengths[row] > n_ctx)
        return error_set(err, ST_BAD_INPUT, "prompt %zu has %u tokens, the batch %zu", row,
                         (unsigned)p->lengths[row], n_ctx);
    if (p->answers[row] >= p->lengths[row])
        return error_set(err, ST_BAD_INPUT, "prompt %zu: its answer is at token %u of %u", row,
                         (unsigned)p->answers[row], (unsigned)p->lengths[row]);
    for (size_t t = 0; t < p->lengths[row]; t++)
        if (tokens[row * n_ctx + t] >= n_vocab)
            return error_set(err, ST_BAD_INPUT, "prompt %zu, token %zu: id %u of %zu", row, t,
                             (unsigned)tokens[row * n_ctx + t], n_vocab);
    return ST_OK;
}

static status_t take_prompts(struct attribution *a, const struct attribution_prompts *p,
                             struct error *err)
{
    status_t status = ST_OK;
    if (!p->n || p->n > a->n_rows)
        return error_set(err, ST_BAD_INPUT, "%zu prompts in a batch of %zu", p->n, a->n_rows);
    for (size_t i = 0; i < p->n && status == ST_OK; i++) {
        status = check_row(a, p, i, p->clean, err);
        if (status == ST_OK) status = check_row(a, p, i, p->corrupted, err);
        if (status != ST_OK) return status;
        a->lengths[i] = p->lengths[i];
        a->answer_rows[i] = (uint32_t)(i * a->forward->n_ctx) + p->answers[i];
    }
    memset(a->lengths + p->n, 0, (a->n_rows - p->n) * sizeof *a->lengths);
    a->input = (struct forward_input){.tokens = a->tokens,
                                      .row_lengths = a->lengths,
                                      .head_rows = a->answer_rows,
                                      .n_head_rows = p->n};
    return ST_OK;
}

/* The embedding of one side of the prompts, into the stream. */
static status_t embed(struct attribution *a, const struct attribution_prompts *p,
                      const uint32_t *tokens, struct error *err)
{
    struct forward *f = a->forward;
    memset(f->tokens, 0, f->n_tokens * sizeof *f->tokens);
    for (size_t i = 0; i < p->n; i++)
        memcpy(f->tokens + i * f->n_ctx, tokens + i * f->n_ctx, p->lengths[i] * sizeof *tokens);
    begin_pass(a);
    return forward_embed(f, err);
}

/* --- what senders write -------------------------------------------------------------------- */

static status_t subtract(struct attribution *a, float *from, const float *what, size_t width,
                         struct error *err)
{
    struct forward *f = a->forward;
    const struct blend_params p = {from, what, from, -1.0f, f->n_tokens * width};
    return f->ops->blend(f->exec, &p, err);
}

/* Keep the corrupted value, then take the clean one from it. */
static status_t settle(struct attribution *a, float *kept, const float *now, size_t width,
                       bool is_clean, struct error *err)
{
    return is_clean ? subtract(a, kept, now, width, err)
                    : attribution_copy(a, kept, now, a->forward->n_tokens * width, err);
}

static status_t settle_keys_and_values(struct attribution *a, size_t layer, bool is_clean,
                                       struct error *err)
{
    struct forward *f = a->forward;
    const struct model_config *c = f->config;
    const size_t width = 2 * c->n_kv_heads * c->d_head;
    const struct add_params packed = {.a = f->qkv + c->n_heads * c->d_head,
                                      .out = a->columns,
                                      .n_rows = f->n_tokens,
                                      .d = width,
                                      .ld_a = forward_width_qkv(c),
                                      .ld_out = width};
    const status_t status = f->ops->add(f->exec, &packed, err);
    return status == ST_OK ? settle(a, a->layers[layer].kv, a->columns, width, is_clean, err)
                           : status;
}

static status_t settle_layer(struct attribution *a, size_t layer, bool is_clean, struct error *err)
{
    struct forward *f = a->forward;
    struct attribution_layer *to = &a->layers[layer];
    const size_t d = f->config->d_model, d_z = f->config->n_heads * f->config->d_head;
    status_t status = attribution_copy(a, to->pre, f->residual, f->n_tokens * d, err);
    if (status == ST_OK) status = forward_to_heads(f, layer, err);
    if (status == ST_OK) status = settle(a, to->z, f->z, d_z, is_clean, err);
    if (status == ST_OK) status = settle_keys_and_values(a, layer, is_clean, err);
    if (status == ST_OK) status = forward_to_mid(f, layer, err);
    if (status == ST_OK) status = forward_to_mlp(f, layer, err);
    if (status == ST_OK) status = settle(a, to->mlp, f->delta, d, is_clean, err);
    return status == ST_OK ? forward_to_post(f, layer, err) : status;
}

/* Differences of all senders; the clean pass is the last, so its streams are the ones kept.
 * turns_back: slopes are taken of it. */
static status_t run_both(struct attribution *a, const struct attribution_prompts *p,
                         bool turns_back, struct error *err)
{
    struct forward *f = a->forward;
    const size_t d = f->config->d_model;
    status_t status = ST_OK;
    for (int is_clean = 0; is_clean < 2 && status == ST_OK; is_clean++) {
        status = embed(a, p, is_clean ? p->clean : p->corrupted, err);
        if (is_clean && turns_back) f->order = LAYERS_AND_BACK;
        if (status == ST_OK) status = settle(a, a->embed_difference, f->residual, d, is_clean, err);
        if (status == ST_OK)
            status = attribution_copy(a, a->embed, f->residual, f->n_tokens * d, err);
        for (size_t i = 0; i < f->config->n_layers && status == ST_OK; i++)
            status = settle_layer(a, i, is_clean, err);
    }
    return status;
}

/* --- the pass that slopes are taken of ----------------------------------------------------- */

/* From corrupted (share 0) towards clean (share 1). */
static status_t run_between(struct attribution *a, float share, struct error *err)
{
    struct forward *f = a->forward;
    const size_t n = f->n_tokens * f->config->d_model;
    const struct blend_params from = {a->embed, a->embed_difference, f->residual, 1.0f - share, n};
    begin_pass(a);
    f->order = LAYERS_AND_BACK;
    status_t status = f->ops->blend(f->exec, &from, err);
    for (size_t i = 0; i < f->config->n_layers && status == ST_OK; i++) {
        status = attribution_copy(a, a->layers[i].pre, f->residual, n, err);
        if (status == ST_OK) status = forward_layer(f, i, err);
    }
    return status;
}

/* Logits at the answers, after a pass, into `logits` on the host. */
static status_t read_logits(struct attribution *a, float *logits, struct error *err)
{
    struct forward *f = a->forward;
    const float *out;
    const size_t n_bytes = a->input.n_head_rows * f->config->n_vocab * sizeof *logits;
    f->out_acts = &out;
    status_t status =
        attribution_copy(a, a->last, f->residual, f->n_tokens * f->config->d_model, err);
    if (status == ST_OK) status = forward_head(f, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    if (status == ST_OK) memcpy(logits, out, n_bytes);
    return status;
}

/* Slopes of the metric by the logits, divided by the number of steps, into d_logits. */
static status_t take_slopes(struct attribution *a, const struct attribution_request *r,
                            const float *logits, struct error *err)
{
    struct forward *f = a->forward;
    const size_t n_vocab = f->config->n_vocab, n = a->input.n_head_rows;
    const float factor = r->n_steps ? 1.0f / (float)r->n_steps : 1.0f;
    status_t status = ST_OK;
    memset(a->slopes, 0, a->n_rows * n_vocab * sizeof *a->slopes);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = r->slope(r->context, i, logits + i * n_vocab, a->clean + i * n_vocab,
                          a->slopes + i * n_vocab, err);
    for (size_t i = 0; i < n * n_vocab; i++) a->slopes[i] *= factor;
    if (status != ST_OK) return status;
    status = f->ops->upload(f->exec, a->d_logits, a->slopes, n * n_vocab * sizeof *a->slopes, err);
    return status == ST_OK ? f->ops->synchronize(f->exec, err) : status;
}

static status_t run_step(struct attribution *a, const struct attribution_request *r, size_t step,
                         struct error *err)
{
    status_t status = ST_OK;
    const float *logits = a->clean;
    if (r->n_steps) {
        status = run_between(a, (float)step / (float)r->n_steps, err);
        if (status == ST_OK) status = read_logits(a, a->logits, err);
        logits = a->logits;
    }
    if (status == ST_OK) status = take_slopes(a, r, logits, err);
    if (status == ST_OK) status = attribution_backward(a, r->nodes, err);
    return status == ST_OK && r->edges ? attribution_score_edges(a, r->edges, err) : status;
}

status_t attribution_run(struct attribution *a, const struct attribution_prompts *prompts,
                         const struct attribution_request *request, struct error *err)
{
    if (request->edges && !a->has_edges)
        return error_set(err, ST_BAD_INPUT, "edges of an attribution of nodes");
    status_t status = take_prompts(a, prompts, err);
    if (status == ST_OK) status = run_both(a, prompts, !request->n_steps, err);
    if (status == ST_OK) status = read_logits(a, a->clean, err);
    const size_t n_passes = request->n_steps ? request->n_steps : 1;
    for (size_t i = 0; i < n_passes && status == ST_OK; i++) status = run_step(a, request, i, err);
    return status;
}
