#include "worker/model/attention_patterns.h"

#include "common/size.h"
#include "worker/model/forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_BLOCK = 32 }; /* of any batch: a token's values are the same bits in all */

struct attention_patterns {
    struct forward *forward;
    const struct model_config *config;
    atomic_uint_fast64_t *progress;
    size_t n_rows, n_ctx;
    float *residual;            /* [n_rows * n_ctx, d_model] entering the next layer */
    double *queries, *keys;     /* [n_ctx, d_head], of one head, rotated */
    double *weights;            /* [n_ctx] */
    float *rope_cos, *rope_sin; /* [n_ctx, d_head / 2], or NULL */
};

/* One layer, as the forward pass gave it. */
struct layer_values {
    size_t layer;
    const float *q, *k; /* [n_rows * n_ctx, heads * d_head] */
};

void attention_patterns_destroy(struct attention_patterns **patterns)
{
    struct attention_patterns *self = *patterns;
    if (!self) return;
    forward_destroy(&self->forward);
    free(self->residual);
    free(self->queries);
    free(self->keys);
    free(self->weights);
    free(self->rope_cos);
    free(self->rope_sin);
    free(self);
    *patterns = NULL;
}

static status_t allocate(struct attention_patterns *self, struct error *err)
{
    const size_t d_head = self->config->d_head, d_model = self->config->d_model;
    size_t n_residual;
    if (!size_mul(self->n_rows * self->n_ctx, d_model, &n_residual)) /* tokens: forward_create() */
        return error_set(err, ST_TOO_LARGE, "%zu rows of %zu tokens", self->n_rows, self->n_ctx);
    self->residual = calloc(n_residual, sizeof *self->residual);
    self->queries = calloc(self->n_ctx * d_head, sizeof *self->queries);
    self->keys = calloc(self->n_ctx * d_head, sizeof *self->keys);
    self->weights = calloc(self->n_ctx, sizeof *self->weights);
    if (!self->residual || !self->queries || !self->keys || !self->weights)
        return error_set(err, ST_NO_MEMORY, "patterns of %zu tokens", self->n_ctx);
    if (!self->config->family->has_rotary) return ST_OK;
    self->rope_cos = calloc(self->n_ctx * d_head, sizeof *self->rope_cos);
    self->rope_sin = calloc(self->n_ctx * d_head, sizeof *self->rope_sin);
    if (!self->rope_cos || !self->rope_sin)
        return error_set(err, ST_NO_MEMORY, "patterns of %zu tokens", self->n_ctx);
    model_config_rope_tables(self->config, self->n_ctx, self->rope_cos, self->rope_sin);
    return ST_OK;
}

status_t attention_patterns_create(struct attention_patterns **out,
                                   const struct attention_patterns_params *params,
                                   struct error *err)
{
    const struct forward_params forward = {.model = params->model,
                                           .n_rows = params->n_rows,
                                           .n_ctx = params->n_ctx,
                                           .row_block = ROW_BLOCK,
                                           .progress = params->progress};
    struct attention_patterns *self = calloc(1, sizeof *self);
    if (!self) return error_set(err, ST_NO_MEMORY, "attention patterns");
    self->config = model_config(params->model);
    self->progress = params->progress;
    self->n_rows = params->n_rows;
    self->n_ctx = params->n_ctx;
    status_t status = forward_create(&self->forward, &forward, err);
    if (status == ST_OK) status = allocate(self, err);
    if (status == ST_OK)
        *out = self;
    else
        attention_patterns_destroy(&self);
    return status;
}

/* --- one head ------------------------------------------------------------------------------ */

/* One head's vectors of a row, [n, d_head] in double, rotated where the family rotates. */
static void read_head(const struct attention_patterns *self, const float *values, size_t ld,
                      size_t n, double *out)
{
    const size_t d_head = self->config->d_head, half = d_head / 2;
    for (size_t t = 0; t < n; t++, values += ld, out += d_head) {
        for (size_t i = 0; i < d_head; i++) out[i] = values[i];
        for (size_t i = 0; self->rope_cos && i < half; i++) {
            const double c = self->rope_cos[t * half + i], s = self->rope_sin[t * half + i];
            const double low = out[i], high = out[i + half];
            out[i] = low * c - high * s;
            out[i + half] = high * c + low * s;
        }
    }
}

/* weights [query + 1] = softmax(scale q k); false where they are not finite. */
static bool attend(const struct attention_patterns *self, size_t query, double scale)
{
    const size_t d_head = self->config->d_head;
    const double *q = self->queries + query * d_head;
    double largest = -INFINITY, sum = 0;
    for (size_t j = 0; j <= query; j++) {
        const double *k = self->keys + j * d_head;
        double score = 0;
        for (size_t i = 0; i < d_head; i++) score += q[i] * k[i];
        self->weights[j] = score * scale;
        if (!isfinite(score)) return false;
        if (self->weights[j] > largest) largest = self->weights[j];
    }
    for (size_t j = 0; j <= query; j++) {
        self->weights[j] = exp(self->weights[j] - largest);
        sum += self->weights[j];
    }
    for (size_t j = 0; j <= query; j++) self->weights[j] /= sum;
    return true;
}

static status_t visit_head(struct attention_patterns *self, const struct layer_values *values,
                           struct attention_query at, size_t n, attention_visit_fn *visit,
                           void *context, struct error *err)
{
    const struct model_config *c = self->config;
    const size_t ld_q = c->n_heads * c->d_head, ld_k = c->n_kv_heads * c->d_head;
    const size_t kv_head = at.head / (c->n_heads / c->n_kv_heads);
    const size_t first = at.row * self->n_ctx;
    const double scale = model_config_attention_scale(c, at.layer);
    read_head(self, values->q + first * ld_q + at.head * c->d_head, ld_q, n, self->queries);
    read_head(self, values->k + first * ld_k + kv_head * c->d_head, ld_k, n, self->keys);
    for (at.query = 0; at.query < n; at.query++) {
        if (!attend(self, at.query, scale))
            return error_set(err, ST_BAD_INPUT, "attention of layer %zu head %zu is not finite",
                             at.layer, at.head);
        visit(context, &at, self->weights);
    }
    if (self->progress) (void)atomic_fetch_add(self->progress, 1);
    return ST_OK;
}

/* --- layers -------------------------------------------------------------------------------- */

/* Queries and keys of a layer; the residual stream behind it is kept for the next. */
static status_t run_layer(struct attention_patterns *self, struct forward_input *input,
                          struct layer_values *values, struct error *err)
{
    const struct hook_point hooks[] = {
        {HOOK_Q, values->layer}, {HOOK_K, values->layer}, {HOOK_RESID_POST, values->layer}};
    const float *acts[3] = {NULL, NULL, NULL};
    const bool is_last = values->layer + 1 == self->config->n_layers;
    input->first_layer = values->layer;
    input->residual = values->layer > 0 ? self->residual : NULL;
    const status_t status = forward_run(self->forward, input, hooks, is_last ? 2 : 3, acts, err);
    if (status != ST_OK) return status;
    values->q = acts[0];
    values->k = acts[1];
    if (!is_last)
        memcpy(self->residual, acts[2],
               self->n_rows * self->n_ctx * self->config->d_model * sizeof *self->residual);
    return ST_OK;
}

status_t attention_patterns_run(struct attention_patterns *patterns, const uint32_t *tokens,
                                const uint32_t *lengths, attention_visit_fn *visit, void *context,
                                struct error *err)
{
    struct forward_input input = {.tokens = tokens, .row_lengths = lengths};
    status_t status = ST_OK;
    for (size_t l = 0; l < patterns->config->n_layers && status == ST_OK; l++) {
        struct layer_values values = {.layer = l};
        status = run_layer(patterns, &input, &values, err);
        for (size_t row = 0; row < patterns->n_rows && status == ST_OK; row++)
            for (size_t h = 0; h < patterns->config->n_heads && status == ST_OK; h++) {
                const struct attention_query at = {.row = row, .layer = l, .head = h};
                status = visit_head(patterns, &values, at, lengths[row], visit, context, err);
            }
    }
    return status;
}
