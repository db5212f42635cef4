/* Variants that change nothing before some position: only the rows from there on are computed, and
 * attention reads the clean keys and values of the rows before (they are the variant's own, since
 * attention is causal). The rows at hand are spread over whole prompts for it, with the clean ones
 * in front, so that every row of z is summed as in a whole pass, bit for bit; queries of the rows
 * in front are computed once more and dropped, a percent or two of a layer. */
#include "worker/model/variants_parts.h"

enum { WORTH_IT = 4 }; /* a share of 1 / WORTH_IT of the positions at least */

static size_t first_row(const struct variants *v, const struct variant_change *c)
{
    size_t first = v->n_ctx;
    if (!c->is_row) return c->first_position;
    for (size_t r = 0; r < v->n_prompts * v->n_ctx; r++)
        if (c->is_row[r] && r % v->n_ctx < first) first = r % v->n_ctx;
    return first > c->first_position ? first : c->first_position;
}

size_t variant_first_position(const struct variants *v, const struct variant *variant)
{
    size_t first = v->n_ctx;
    if (variant->n_edges || variant->n_hooks || !variant->n_changes) return 0;
    for (size_t p = 0; p < v->n_prompts; p++)
        if (v->answers[p] < first) first = v->answers[p];
    for (size_t i = 0; i < variant->n_changes && first; i++) {
        const size_t row = first_row(v, &variant->changes[i]);
        if (row < first) first = row;
    }
    return first * WORTH_IT < v->n_ctx ? 0 : first;
}

void variants_late_destroy(struct variants *v)
{
    struct forward *f = v->forward;
    if (!f) return;
    f->ops->release(f->backend, v->late.qkv);
    f->ops->release(f->backend, v->late.z);
    v->late = (struct late_heads){.qkv = NULL};
}

static status_t make_late(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    const struct model_config *c = f->config;
    const size_t n_rows = (v->n_batch + 1) * v->n_prompts * v->n_ctx;
    status_t status = ST_OK;
    if (!v->late.qkv) status = forward_floats(f, n_rows, forward_width_qkv(c), &v->late.qkv, err);
    if (status == ST_OK && !v->late.z)
        status = forward_floats(f, n_rows, c->n_heads * c->d_head, &v->late.z, err);
    return status;
}

/* Rows of every sequence inside: the clean ones of its prompt in front, its own behind. */
static status_t spread(struct variants *v, size_t layer, struct error *err)
{
    struct forward *f = v->forward;
    const size_t width = forward_width_qkv(f->config), n_first = v->first_position;
    const size_t n_own = v->n_ctx - n_first;
    status_t status = ST_OK;
    for (size_t s = 0; s < f->n_rows && status == ST_OK; s++) {
        float *to = v->late.qkv + s * v->n_ctx * width;
        const float *clean = v->clean[layer].qkv + s % v->n_prompts * v->n_ctx * width;
        status = f->ops->copy(f->exec, to, clean, n_first * width * sizeof(float), err);
        if (status == ST_OK)
            status = f->ops->copy(f->exec, to + n_first * width, f->qkv + s * n_own * width,
                                  n_own * width * sizeof(float), err);
    }
    return status;
}

static status_t attend(struct variants *v, size_t layer, struct error *err)
{
    struct forward *f = v->forward;
    struct attend_params p = forward_attend_params(f, layer);
    p.k = v->late.qkv + (p.k - p.q);
    p.v = v->late.qkv + (p.v - p.q);
    p.q = v->late.qkv;
    p.z = v->late.z;
    p.n_ctx = v->n_ctx;
    return f->ops->attend(f->exec, &p, err);
}

status_t variants_late_heads(struct variants *v, size_t layer, struct error *err)
{
    struct forward *f = v->forward;
    const size_t d_z = f->config->n_heads * f->config->d_head, n_own = v->n_ctx - v->first_position;
    status_t status = make_late(v, err);
    if (status == ST_OK) status = forward_to_qkv(f, layer, err);
    if (status == ST_OK) status = spread(v, layer, err);
    if (status == ST_OK) status = attend(v, layer, err);
    for (size_t s = 0; s < f->n_rows && status == ST_OK; s++)
        status = f->ops->copy(f->exec, f->z + s * n_own * d_z,
                              v->late.z + (s * v->n_ctx + v->first_position) * d_z,
                              n_own * d_z * sizeof(float), err);
    return status;
}
