#include "worker/model/variants.h"

#include "common/size.h"
#include "worker/model/variants_parts.h"

#include <stdlib.h>
#include <string.h>

void variants_destroy(struct variants **pointer)
{
    struct variants *v = *pointer;
    if (!v) return;
    struct forward *f = v->forward;
    for (size_t i = 0; v->clean && i < f->config->n_layers; i++) {
        float *const kept[] = {v->clean[i].pre, v->clean[i].qkv, v->clean[i].z, v->clean[i].mid,
                               v->clean[i].delta};
        for (size_t k = 0; k < sizeof kept / sizeof kept[0]; k++)
            f->ops->release(f->backend, kept[k]);
    }
    variants_edges_destroy(v);
    variants_late_destroy(v);
    variants_moves_destroy(v);
    variants_logits_destroy(v);
    forward_destroy(&v->forward);
    free(v->clean);
    free(v->clean_out);
    free(v->path_rows);
    free(v->tokens);
    free(v->lengths);
    free(v->answers);
    free(v->rows);
    free(v->answer_rows);
    free(v->batch);
    free(v);
    *pointer = NULL;
}

/* Of the rows of struct clean_layer, in its order. */
enum { N_CLEAN = 5 };
struct clean_widths {
    size_t of[N_CLEAN];
};

static struct clean_widths clean_widths(const struct model_config *c)
{
    const size_t d = c->d_model;
    return (struct clean_widths){{d, forward_width_qkv(c), c->n_heads * c->d_head, d, d}};
}

size_t variants_clean_bytes(const struct model_config *c, size_t n_tokens)
{
    const struct clean_widths widths = clean_widths(c);
    size_t n_floats = 0;
    for (size_t k = 0; k < N_CLEAN; k++) n_floats += widths.of[k];
    return n_tokens * c->n_layers * n_floats * sizeof(float);
}

/* The pass, and what attention reads where rows are late positions alone (make_late()). */
size_t variants_token_bytes(const struct model_config *c)
{
    return memory_plan_token_bytes(c) + memory_plan_kept_bytes(c) +
           (forward_width_qkv(c) + c->n_heads * c->d_head) * sizeof(float);
}

size_t variants_least_bytes(const struct model_config *c, size_t n_tokens)
{
    const size_t block = forward_row_block(n_tokens);
    return (2 * n_tokens + block - 1) / block * block * variants_token_bytes(c);
}

static status_t make_clean(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    const struct model_config *c = f->config;
    const struct clean_widths widths = clean_widths(c);
    const size_t n_rows = v->n_prompts * v->n_ctx;
    status_t status = ST_OK;
    v->clean = calloc(c->n_layers, sizeof *v->clean);
    if (!v->clean) return error_set(err, ST_NO_MEMORY, "%zu layers", c->n_layers);
    for (size_t i = 0; i < c->n_layers && status == ST_OK; i++) {
        struct clean_layer *l = &v->clean[i];
        float **const kept[N_CLEAN] = {&l->pre, &l->qkv, &l->z, &l->mid, &l->delta};
        for (size_t k = 0; k < N_CLEAN && status == ST_OK; k++)
            status = forward_floats(f, n_rows, widths.of[k], kept[k], err);
    }
    return status;
}

static status_t make_arrays(struct variants *v, struct error *err)
{
    const struct model_config *c = v->forward->config;
    const size_t n_rows = v->n_prompts * v->n_ctx, n_copies = v->n_batch + 1;
    const size_t width = c->n_heads * c->d_head > c->d_model ? c->n_heads * c->d_head : c->d_model;
    v->tokens = calloc(n_rows, sizeof *v->tokens);
    v->lengths = calloc(n_copies * v->n_prompts, sizeof *v->lengths);
    v->answers = calloc(v->n_prompts, sizeof *v->answers);
    v->rows = calloc(n_rows, sizeof *v->rows);
    v->answer_rows = calloc(v->n_prompts, sizeof *v->answer_rows);
    v->batch = calloc(n_copies, sizeof *v->batch);
    v->clean_out = calloc(n_rows, width * sizeof *v->clean_out);
    v->path_rows = calloc(n_rows, width * sizeof *v->path_rows);
    if (!v->tokens || !v->lengths || !v->answers || !v->rows || !v->answer_rows || !v->batch ||
        !v->clean_out || !v->path_rows)
        return error_set(err, ST_NO_MEMORY, "%zu prompts of %zu tokens", v->n_prompts, v->n_ctx);
    for (size_t r = 0; r < n_rows; r++) v->rows[r] = r;
    return ST_OK;
}

/* Variants at once: one, and as many more as the device has room for beside it and the clean pass,
 * halved as often as it was found full. Their size changes no bit. */
static size_t choose_batch(const struct variants_params *p)
{
    const struct model_config *c = model_config(p->model);
    const size_t n_each = p->n_prompts * p->n_ctx;
    const size_t n_beside = variants_clean_bytes(c, n_each) + variants_least_bytes(c, n_each);
    const size_t n_more = memory_plan_tokens(model_plan(p->model), model_backend(p->model),
                                             variants_token_bytes(c), n_beside);
    size_t n_copies = p->n_batch + 1;
    if (n_more && n_more / n_each + 2 < n_copies) n_copies = n_more / n_each + 2;
    for (unsigned i = 0; i < model_n_halvings(p->model); i++) n_copies /= 2;
    return n_copies > 2 ? n_copies - 1 : 1;
}

status_t variants_create(struct variants **out, const struct variants_params *p, struct error *err)
{
    size_t n_copies, n_rows;
    if (!p->n_batch || !p->n_prompts || !p->n_ctx)
        return error_set(err, ST_BAD_INPUT, "a batch of %zu variants of %zu prompts", p->n_batch,
                         p->n_prompts);
    if (!size_add(p->n_batch, 1, &n_copies) || !size_mul(n_copies, p->n_prompts, &n_rows) ||
        !size_mul(n_rows, p->n_ctx, &n_rows))
        return error_set(err, ST_TOO_LARGE, "a batch of %zu variants of %zu prompts", p->n_batch,
                         p->n_prompts);
    struct variants *v = calloc(1, sizeof *v);
    if (!v) return error_set(err, ST_NO_MEMORY, "variants");
    v->n_prompts = p->n_prompts;
    v->n_ctx = p->n_ctx;
    v->n_batch = choose_batch(p);
    model_note_pass(p->model, v->n_batch > 1);
    /* One block whatever the batch: a row's bits depend on it. */
    const struct forward_params forward = {.model = p->model,
                                           .n_rows = (v->n_batch + 1) * p->n_prompts,
                                           .n_ctx = p->n_ctx,
                                           .row_block = forward_row_block(p->n_prompts * p->n_ctx),
                                           .is_whole = true,
                                           .progress = p->progress};
    status_t status = forward_create(&v->forward, &forward, err);
    if (status == ST_OK) status = make_clean(v, err);
    if (status == ST_OK) status = make_arrays(v, err);
    if (status != ST_OK) {
        variants_destroy(&v);
        return status;
    }
    *out = v;
    return ST_OK;
}

/* --- the prompts --------------------------------------------------------------------------- */

static status_t check_prompts(const struct variants *v, const struct variants_prompts *p,
                              struct error *err)
{
    const size_t n_vocab = v->forward->config->n_vocab;
    for (size_t i = 0; i < v->n_prompts; i++) {
        if (!p->lengths[i] || p->lengths[i] > v->n_ctx)
            return error_set(err, ST_BAD_INPUT, "prompt %zu has %u tokens, the batch %zu", i,
                             (unsigned)p->lengths[i], v->n_ctx);
        if (p->answers[i] >= p->lengths[i])
            return error_set(err, ST_BAD_INPUT, "prompt %zu: its answer is at token %u of %u", i,
                             (unsigned)p->answers[i], (unsigned)p->lengths[i]);
        for (size_t t = 0; t < p->lengths[i]; t++)
            if (p->tokens[i * v->n_ctx + t] >= n_vocab)
                return error_set(err, ST_BAD_INPUT, "prompt %zu, token %zu: id %u of %zu", i, t,
                                 (unsigned)p->tokens[i * v->n_ctx + t], n_vocab);
    }
    for (size_t i = 0; p->columns && i < p->n_columns; i++)
        if (p->columns[i] >= n_vocab)
            return error_set(err, ST_BAD_INPUT, "answer %zu: id %u of %zu", i,
                             (unsigned)p->columns[i], n_vocab);
    return (p->columns && !p->n_columns) || (p->is_compared && !p->columns)
               ? error_set(err, ST_BAD_INPUT, "no answers")
               : ST_OK;
}

static void take_prompts(struct variants *v, const struct variants_prompts *p)
{
    const size_t n_rows = v->n_prompts * v->n_ctx;
    memset(v->tokens, 0, n_rows * sizeof *v->tokens);
    for (size_t i = 0; i < v->n_prompts; i++)
        memcpy(v->tokens + i * v->n_ctx, p->tokens + i * v->n_ctx,
               p->lengths[i] * sizeof *v->tokens);
    for (size_t i = 0; i < (v->n_batch + 1) * v->n_prompts; i++)
        v->lengths[i] = p->lengths[i % v->n_prompts];
    memcpy(v->answers, p->answers, v->n_prompts * sizeof *v->answers);
    for (size_t i = 0; i < v->n_prompts; i++) v->answer_rows[i] = i * v->n_ctx + v->answers[i];
}

status_t variants_load(struct variants *v, const struct variants_prompts *p, struct error *err)
{
    struct forward *f = v->forward;
    v->is_loaded = false;
    status_t status = check_prompts(v, p, err);
    if (status != ST_OK) return status;
    take_prompts(v, p);
    status = variants_take_columns(v, p, err);
    variants_begin(v);
    variants_place_clean(v);
    v->n_inside = 1;
    variants_use_rows(v);
    memcpy(f->tokens, v->tokens, v->n_prompts * v->n_ctx * sizeof *f->tokens);
    if (status == ST_OK) status = forward_embed(f, err);
    for (size_t i = 0; i < f->config->n_layers && status == ST_OK; i++)
        status = variants_keep_layer(v, i, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    v->is_loaded = status == ST_OK;
    return status;
}

status_t variants_clean_rows(struct variants *v, struct hook_point hook, const float **out,
                             struct error *err)
{
    struct forward *f = v->forward;
    const size_t d = f->config->d_model;
    char name[HOOK_NAME_SIZE];
    if (!v->is_loaded || hook.layer >= f->config->n_layers)
        return error_set(err, ST_BAD_INPUT, "%s: nothing is kept", hook_point_name(hook, name));
    const struct clean_layer *clean = &v->clean[hook.layer];
    const float *bias = f->weights->layers[hook.layer].mlp_out.bias;
    *out = hook.kind == HOOK_Z           ? clean->z
           : hook.kind == HOOK_RESID_PRE ? clean->pre
           : hook.kind == HOOK_RESID_MID ? clean->mid
           : hook.kind == HOOK_MLP_OUT   ? clean->delta
                                         : NULL;
    if (!*out) return error_set(err, ST_UNSUPPORTED, "%s is not kept", hook_point_name(hook, name));
    if (hook.kind != HOOK_MLP_OUT || !bias) return ST_OK;
    const struct add_params add = {.a = *out,
                                   .bias = bias,
                                   .out = f->normed,
                                   .n_rows = v->n_prompts * v->n_ctx,
                                   .d = d,
                                   .ld_a = d,
                                   .ld_out = d};
    *out = f->normed;
    return f->ops->add(f->exec, &add, err);
}

status_t variants_clean(struct variants *v, struct hook_point hook, const float **out,
                        struct error *err)
{
    struct forward *f = v->forward;
    const size_t n_floats = v->n_prompts * v->n_ctx * hook_point_width(hook, f->config);
    const float *from;
    status_t status = variants_clean_rows(v, hook, &from, err);
    if (status == ST_OK)
        status = f->ops->download(f->exec, v->clean_out, from, n_floats * sizeof(float), err);
    *out = v->clean_out;
    return status;
}
