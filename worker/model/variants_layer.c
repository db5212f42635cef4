/* One layer of the growing batch: stages of the forward pass, between which variants join. */
#include "worker/model/variants_parts.h"

/* Rows of one prompt. */
static size_t n_late(const struct variants *v)
{
    return v->n_ctx - v->first_position;
}

size_t variants_rows_each(const struct variants *v)
{
    return v->is_at_answers ? v->n_prompts : v->n_prompts * n_late(v);
}

size_t variants_row(const struct variants *v, size_t r)
{
    if (v->is_at_answers) return v->answer_rows[r];
    return v->first_position ? r / n_late(v) * v->n_ctx + v->first_position + r % n_late(v) : r;
}

void variants_use_rows(struct variants *v)
{
    struct forward *f = v->forward;
    const size_t block = f->row_block;
    f->n_rows = v->n_inside * v->n_prompts;
    f->n_ctx = v->is_at_answers ? 1 : n_late(v);
    f->n_tokens = f->n_rows * f->n_ctx;
    f->n_padded = (f->n_tokens + block - 1) / block * block;
}

static status_t copy_rows(struct variants *v, float *to, const float *from, size_t width,
                          size_t n_rows, struct error *err)
{
    return v->forward->ops->copy(v->forward->exec, to, from, n_rows * width * sizeof(float), err);
}

/* The clean rows `from` behind those of whoever is inside. */
static status_t append(struct variants *v, float *buffer, const float *from, size_t width,
                       struct error *err)
{
    const size_t n_each = variants_rows_each(v), n_rows = n_each / v->n_prompts;
    float *to = buffer + v->n_inside * n_each * width;
    status_t status = ST_OK;
    if (n_rows == v->n_ctx) return copy_rows(v, to, from, width, n_each, err);
    for (size_t p = 0; p < v->n_prompts && status == ST_OK; p++)
        status = copy_rows(v, to + p * n_rows * width, from + variants_row(v, p * n_rows) * width,
                           width, n_rows, err);
    return status;
}

static status_t append_clean(struct variants *v, const struct clean_layer *clean,
                             enum variant_entry entry, struct error *err)
{
    struct forward *f = v->forward;
    const size_t d = f->config->d_model, d_z = f->config->n_heads * f->config->d_head;
    const bool is_before = entry == ENTRY_PRE || entry == ENTRY_Z;
    status_t status = append(v, f->residual, is_before ? clean->pre : clean->mid, d, err);
    if (status == ST_OK && entry == ENTRY_Z) status = append(v, f->z, clean->z, d_z, err);
    if (status == ST_OK && entry == ENTRY_OUT) status = append(v, f->delta, clean->delta, d, err);
    return status;
}

/* Those whose first change is here come in. */
static status_t join(struct variants *v, size_t layer, enum variant_entry entry, struct error *err)
{
    status_t status = ST_OK;
    while (status == ST_OK && v->n_inside < v->n_placed &&
           v->batch[v->n_inside].order == layer * ENTRY_N + entry) {
        status = append_clean(v, &v->clean[layer], entry, err);
        if (status == ST_OK) v->n_inside++;
    }
    variants_use_rows(v);
    return status;
}

/* The answer positions to the front of `buffer`: what comes behind attention needs no other. */
static status_t gather(struct variants *v, float *buffer, size_t width, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < v->n_inside * v->n_prompts && status == ST_OK; i++) {
        const size_t from = i * n_late(v) + v->answers[i % v->n_prompts] - v->first_position;
        if (from != i)
            status = copy_rows(v, buffer + i * width, buffer + from * width, width, 1, err);
    }
    return status;
}

static status_t leave_answers(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    status_t status = gather(v, f->residual, f->config->d_model, err);
    if (status == ST_OK) status = gather(v, f->z, f->config->n_heads * f->config->d_head, err);
    v->is_at_answers = true;
    variants_use_rows(v);
    return status;
}

static status_t stage(struct variants *v, forward_stage_fn *run, size_t layer, struct error *err)
{
    return v->n_inside ? run(v->forward, layer, err) : ST_OK;
}

status_t variants_layer(struct variants *v, size_t layer, struct error *err)
{
    variants_edit_layer(v, layer);
    status_t status = join(v, layer, ENTRY_PRE, err);
    if (status == ST_OK && v->first_position && v->n_inside)
        status = variants_late_heads(v, layer, err);
    else if (status == ST_OK)
        status = stage(v, forward_to_heads, layer, err);
    if (status == ST_OK) status = join(v, layer, ENTRY_Z, err);
    if (status == ST_OK) status = stage(v, forward_settle_heads, layer, err);
    if (status == ST_OK && layer + 1 == v->forward->config->n_layers)
        status = leave_answers(v, err);
    if (status == ST_OK) status = stage(v, forward_to_mid, layer, err);
    if (status == ST_OK) status = join(v, layer, ENTRY_MID, err);
    if (status == ST_OK) status = stage(v, forward_to_mlp, layer, err);
    if (status == ST_OK) status = join(v, layer, ENTRY_OUT, err);
    return status == ST_OK ? stage(v, forward_to_post, layer, err) : status;
}

status_t variants_keep_layer(struct variants *v, size_t layer, struct error *err)
{
    struct forward *f = v->forward;
    const struct clean_layer *clean = &v->clean[layer];
    const size_t d = f->config->d_model, d_z = f->config->n_heads * f->config->d_head;
    const size_t n_rows = v->n_prompts * v->n_ctx;
    variants_edit_layer(v, layer);
    status_t status = copy_rows(v, clean->pre, f->residual, d, n_rows, err);
    if (status == ST_OK) status = forward_to_heads(f, layer, err);
    if (status == ST_OK)
        status = copy_rows(v, clean->qkv, f->qkv, forward_width_qkv(f->config), n_rows, err);
    if (status == ST_OK) status = copy_rows(v, clean->z, f->z, d_z, n_rows, err);
    if (status == ST_OK) status = forward_to_mid(f, layer, err);
    if (status == ST_OK) status = copy_rows(v, clean->mid, f->residual, d, n_rows, err);
    if (status == ST_OK) status = forward_to_mlp(f, layer, err);
    if (status == ST_OK) status = copy_rows(v, clean->delta, f->delta, d, n_rows, err);
    return status == ST_OK ? forward_to_post(f, layer, err) : status;
}
