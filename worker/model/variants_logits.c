/* What comes of variants: logits at answer positions, of the tokens that count, and where prompts
 * are compared the whole distribution beside the clean one, of which numbers reach the host. */
#include "worker/model/variants_parts.h"

#include <stdlib.h>
#include <string.h>

void variants_logits_destroy(struct variants *v)
{
    struct forward *f = v->forward;
    if (!f) return;
    if (v->columns) f->ops->packed_destroy(v->columns);
    if (v->logits_host != v->logits) free(v->logits_host);
    f->ops->release(f->backend, v->logits);
    f->ops->release(f->backend, v->clean_answers);
    free(v->column_ids);
    free(v->pairs);
    free(v->divergences);
    v->columns = NULL;
    v->logits = v->logits_host = v->clean_answers = NULL;
    v->column_ids = NULL;
    v->pairs = NULL;
    v->divergences = NULL;
}

/* Every row of the pass beside the clean one of its prompt, which are the first. */
static status_t make_pairs(struct variants *v, struct error *err)
{
    const size_t n_rows = (v->n_batch + 1) * v->n_prompts;
    v->pairs = calloc(n_rows, sizeof *v->pairs);
    v->divergences = calloc(n_rows, sizeof *v->divergences);
    if (!v->pairs || !v->divergences)
        return error_set(err, ST_NO_MEMORY, "%zu comparisons", n_rows);
    for (size_t r = 0; r < n_rows; r++)
        v->pairs[r] = (struct row_pair){(uint32_t)(r % v->n_prompts), (uint32_t)r};
    return forward_reserve_divergences(v->forward, n_rows, err);
}

static status_t copy_ids(struct variants *v, const struct variants_prompts *p, struct error *err)
{
    if (!p->columns) return ST_OK;
    v->column_ids = malloc(p->n_columns * sizeof *v->column_ids);
    if (!v->column_ids) return error_set(err, ST_NO_MEMORY, "%zu answers", p->n_columns);
    memcpy(v->column_ids, p->columns, p->n_columns * sizeof *v->column_ids);
    return ST_OK;
}

status_t variants_take_columns(struct variants *v, const struct variants_prompts *p,
                               struct error *err)
{
    struct forward *f = v->forward;
    const size_t n_rows = (v->n_batch + 1) * v->n_prompts;
    const size_t n_padded = (n_rows + f->row_block - 1) / f->row_block * f->row_block;
    variants_logits_destroy(v);
    v->n_columns = p->columns ? p->n_columns : f->config->n_vocab;
    v->is_compared = p->is_compared;
    status_t status = copy_ids(v, p, err);
    if (status == ST_OK && p->is_compared) status = make_pairs(v, err);
    if (status == ST_OK && p->columns && !p->is_compared)
        status = model_head_columns(f->model, p->columns, p->n_columns, &v->columns, err);
    if (status == ST_OK) status = forward_floats(f, n_padded, v->n_columns, &v->logits, err);
    if (status != ST_OK) return status;
    v->logits_host =
        f->ops->memory_is_host ? v->logits : malloc(n_rows * v->n_columns * sizeof(float));
    return v->logits_host ? ST_OK : error_set(err, ST_NO_MEMORY, "%zu logits", v->n_columns);
}

const struct divergence *variants_divergences(const struct variants *variants)
{
    return variants->taken;
}

/* --- of a batch ---------------------------------------------------------------------------- */

/* normed = the final norm of the rows at answer positions */
static status_t norm_answers(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    const struct norm_weights *w = &f->weights->norm_final;
    const struct norm_params norm = {.kind = f->config->family->norm,
                                     .x = f->residual,
                                     .weight = w->weight,
                                     .bias = w->bias,
                                     .y = f->normed,
                                     .eps = f->config->norm_eps,
                                     .n_rows = f->n_tokens,
                                     .d = f->config->d_model};
    return f->ops->norm(f->exec, &norm, err);
}

static status_t multiply(struct variants *v, const struct packed *head, struct error *err)
{
    struct forward *f = v->forward;
    const struct matmul_params product = {.weights = head,
                                          .x = f->normed,
                                          .y = v->logits,
                                          .ld_x = f->config->d_model,
                                          .ld_y = v->n_columns,
                                          .n_rows = f->n_padded};
    return f->ops->matmul(f->exec, &product, err);
}

/* Rows [n_rows] of normed beside the clean ones, which are the first; and the asked logits. */
static status_t compare(struct variants *v, const struct packed *head, size_t n_rows,
                        struct error *err)
{
    struct forward *f = v->forward;
    const struct diverge_params p = {.weights = head,
                                     .x = f->normed,
                                     .ld_x = f->config->d_model,
                                     .n_rows =
                                         (n_rows + f->row_block - 1) / f->row_block * f->row_block,
                                     .pairs = v->pairs,
                                     .columns = v->column_ids,
                                     .n_pairs = n_rows,
                                     .n_columns = v->n_columns,
                                     .out = f->divergences,
                                     .logits = v->logits};
    const status_t status = f->ops->diverge(f->exec, &p, err);
    if (status != ST_OK) return status;
    return f->ops->download(f->exec, v->divergences, f->divergences,
                            n_rows * sizeof *v->divergences, err);
}

/* Of n_rows rows, to the host. */
static status_t fetch_logits(struct variants *v, size_t n_rows, struct error *err)
{
    struct forward *f = v->forward;
    const size_t n_bytes = n_rows * v->n_columns * sizeof(float);
    status_t status = ST_OK;
    if (v->logits_host != v->logits)
        status = f->ops->download(f->exec, v->logits_host, v->logits, n_bytes, err);
    return status == ST_OK ? f->ops->synchronize(f->exec, err) : status;
}

status_t variants_read_logits(struct variants *v, struct error *err)
{
    struct forward *f = v->forward;
    const struct packed *head = v->columns;
    status_t status = norm_answers(v, err);
    if (status == ST_OK && !head) status = model_head(f->model, &head, err);
    if (status == ST_OK)
        status = v->is_compared ? compare(v, head, f->n_tokens, err) : multiply(v, head, err);
    return status == ST_OK ? fetch_logits(v, f->n_tokens, err) : status;
}

/* --- of a whole pass ------------------------------------------------------------------------- */

status_t variants_keep_answers(struct variants *v, size_t place, struct error *err)
{
    struct forward *f = v->forward;
    const size_t n_vocab = f->config->n_vocab;
    const float *logits = NULL;
    f->out_acts = &logits;
    status_t status = forward_head(f, err);
    if (status == ST_OK) status = f->ops->synchronize(f->exec, err);
    for (size_t p = 0; p < v->n_prompts && status == ST_OK && logits; p++) {
        const float *from = logits + (p * v->n_ctx + v->answers[p]) * n_vocab;
        float *to = v->logits_host + (place * v->n_prompts + p) * v->n_columns;
        for (size_t i = 0; i < v->n_columns; i++)
            to[i] = from[v->column_ids ? v->column_ids[i] : i];
    }
    return status;
}

/* The clean answers' rows of the stream are kept for the variants behind the clean run. */
static status_t gather_answers(struct variants *v, size_t place, struct error *err)
{
    struct forward *f = v->forward;
    const size_t d = f->config->d_model, n_bytes = d * sizeof(float);
    status_t status = ST_OK;
    if (!v->clean_answers) status = forward_floats(f, v->n_prompts, d, &v->clean_answers, err);
    for (size_t p = 0; p < v->n_prompts && status == ST_OK; p++) {
        const float *from = f->residual + v->answer_rows[p] * d;
        float *clean = v->clean_answers + p * d;
        if (place == 0) status = f->ops->copy(f->exec, clean, from, n_bytes, err);
        if (status == ST_OK) status = f->ops->copy(f->exec, f->delta + p * d, clean, n_bytes, err);
        if (status == ST_OK)
            status = f->ops->copy(f->exec, f->delta + (v->n_prompts + p) * d, from, n_bytes, err);
    }
    return status == ST_OK ? forward_norm_gathered(f, 2 * v->n_prompts, err) : status;
}

status_t variants_compare_answers(struct variants *v, size_t place, struct error *err)
{
    const struct packed *head;
    status_t status = gather_answers(v, place, err);
    if (status == ST_OK) status = model_head(v->forward->model, &head, err);
    if (status == ST_OK) status = compare(v, head, 2 * v->n_prompts, err);
    return status == ST_OK ? fetch_logits(v, 2 * v->n_prompts, err) : status;
}
