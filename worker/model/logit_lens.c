#include "worker/model/logit_lens.h"

#include <stdlib.h>
#include <string.h>

struct logit_lens {
    const struct backend_ops *ops;
    struct backend *backend;
    struct exec *exec;
    struct packed *writer; /* [n_in, d_model]; NULL: directions are in the residual stream */
    struct packed *head;   /* [d_model, n_vocab], folded */
    size_t n_in, d_model, n_vocab;
    float *x, *residual, *y; /* device: [rows, n_in], [rows, d_model], [rows, n_vocab] */
    float *padded;           /* host [rows, n_in] */
};

const char *logit_lens_refusal(enum hook_kind kind)
{
    switch (kind) {
    case HOOK_EMBED:
    case HOOK_POS_EMBED:
    case HOOK_RESID_PRE:
    case HOOK_Z:
    case HOOK_ATTN_OUT:
    case HOOK_RESID_MID:
    case HOOK_MLP_POST:
    case HOOK_MLP_OUT:
    case HOOK_RESID_POST: return NULL;
    case HOOK_Q:
    case HOOK_K:
    case HOOK_V:
    case HOOK_MLP_PRE:
    case HOOK_MLP_PRE_LINEAR: return "it does not write to the residual stream linearly";
    case HOOK_LN1_NORMALIZED:
    case HOOK_LN2_NORMALIZED:
    case HOOK_LN_FINAL_NORMALIZED: return "it reads the residual stream and does not write to it";
    case HOOK_LOGITS: return "it is the logits";
    case HOOK_N_KINDS: break;
    }
    return "it is not known what it writes";
}

/* --- folding ------------------------------------------------------------------------------- */

/* gain [d_model] of the final norm, on the host. */
static status_t read_gain(struct logit_lens *lens, const struct model *model, float **out,
                          struct error *err)
{
    float *gain = malloc(lens->d_model * sizeof *gain);
    if (!gain) return error_set(err, ST_NO_MEMORY, "final norm");
    const status_t status =
        lens->ops->download(lens->exec, gain, model_weights(model)->norm_final.weight,
                            lens->d_model * sizeof *gain, err);
    if (status == ST_OK)
        *out = gain;
    else
        free(gain);
    return status;
}

/* rows [n_vocab, d_model]: times the gain, less the mean of each row where the norm centres. */
static void fold_norm(const struct logit_lens *lens, float *rows, const float *gain,
                      bool is_centred)
{
    for (size_t v = 0; v < lens->n_vocab; v++) {
        float *row = rows + v * lens->d_model;
        double mean = 0;
        for (size_t i = 0; i < lens->d_model; i++) mean += (double)row[i] * (double)gain[i];
        mean = is_centred ? mean / (double)lens->d_model : 0;
        for (size_t i = 0; i < lens->d_model; i++)
            row[i] = (float)((double)row[i] * (double)gain[i] - mean);
    }
}

/* Less the mean row. */
static status_t centre(const struct logit_lens *lens, float *rows, struct error *err)
{
    double *mean = calloc(lens->d_model, sizeof *mean);
    if (!mean) return error_set(err, ST_NO_MEMORY, "mean of the unembedding");
    for (size_t v = 0; v < lens->n_vocab; v++)
        for (size_t i = 0; i < lens->d_model; i++) mean[i] += (double)rows[v * lens->d_model + i];
    for (size_t i = 0; i < lens->d_model; i++) mean[i] /= (double)lens->n_vocab;
    for (size_t v = 0; v < lens->n_vocab; v++)
        for (size_t i = 0; i < lens->d_model; i++)
            rows[v * lens->d_model + i] = (float)((double)rows[v * lens->d_model + i] - mean[i]);
    free(mean);
    return ST_OK;
}

static status_t pack(struct logit_lens *lens, size_t n_in, size_t n_out, const float *weights,
                     bool is_transposed, struct packed **out, struct error *err)
{
    const struct pack_params params = {.n_in = n_in,
                                       .n_out = n_out,
                                       .weights = weights,
                                       .is_transposed = is_transposed,
                                       .compute = COMPUTE_F32};
    return lens->ops->packed_create(out, lens->backend, &params, err);
}

static status_t fold_head(struct logit_lens *lens, const struct model *model, struct error *err)
{
    const bool is_centred = model_config(model)->family->norm == NORM_LAYER;
    float *rows = NULL, *gain = NULL;
    status_t status = weights_read_head(model_source(model), &rows, err);
    if (status == ST_OK) status = read_gain(lens, model, &gain, err);
    if (status == ST_OK) {
        fold_norm(lens, rows, gain, is_centred);
        status = centre(lens, rows, err);
    }
    if (status == ST_OK)
        status = pack(lens, lens->d_model, lens->n_vocab, rows, true, &lens->head, err);
    free(rows);
    free(gain);
    return status;
}

static status_t pack_writer(struct logit_lens *lens, const struct model *model,
                            struct hook_point hook, struct error *err)
{
    float *weights = NULL;
    if (hook.kind != HOOK_Z && hook.kind != HOOK_MLP_POST) return ST_OK;
    status_t status = hook.kind == HOOK_Z
                          ? weights_read_attn_out(&weights, model_source(model), hook.layer, err)
                          : weights_read_mlp_out(&weights, model_source(model), hook.layer, err);
    if (status == ST_OK)
        status = pack(lens, lens->n_in, lens->d_model, weights, false, &lens->writer, err);
    free(weights);
    return status;
}

/* --- life ---------------------------------------------------------------------------------- */

static status_t device_rows(struct logit_lens *lens, size_t width, float **out, struct error *err)
{
    void *memory = NULL;
    const status_t status =
        lens->ops->alloc(lens->backend, LOGIT_LENS_ROWS * width * sizeof(float), &memory, err);
    *out = memory;
    return status;
}

static status_t make(struct logit_lens *lens, const struct model *model, struct hook_point hook,
                     struct error *err)
{
    const struct exec_params params = {.row_block = LOGIT_LENS_ROWS};
    status_t status = lens->ops->exec_create(&lens->exec, lens->backend, &params, err);
    if (status == ST_OK) status = fold_head(lens, model, err);
    if (status == ST_OK) status = pack_writer(lens, model, hook, err);
    if (status == ST_OK) status = device_rows(lens, lens->n_in, &lens->x, err);
    if (status == ST_OK && lens->writer)
        status = device_rows(lens, lens->d_model, &lens->residual, err);
    if (status == ST_OK) status = device_rows(lens, lens->n_vocab, &lens->y, err);
    lens->padded = calloc(LOGIT_LENS_ROWS * lens->n_in, sizeof *lens->padded);
    if (status == ST_OK && !lens->padded) status = error_set(err, ST_NO_MEMORY, "directions");
    return status;
}

status_t logit_lens_create(struct logit_lens **out, struct model *model, struct hook_point hook,
                           struct error *err)
{
    const char *refusal = logit_lens_refusal(hook.kind);
    if (refusal) return error_set(err, ST_UNSUPPORTED, "logit lens: %s", refusal);
    struct logit_lens *lens = calloc(1, sizeof *lens);
    if (!lens) return error_set(err, ST_NO_MEMORY, "logit lens");
    lens->backend = model_backend(model);
    lens->ops = lens->backend->ops;
    lens->n_in = hook_point_width(hook, model_config(model));
    lens->d_model = model_config(model)->d_model;
    lens->n_vocab = model_config(model)->n_vocab;
    const status_t status = make(lens, model, hook, err);
    if (status == ST_OK)
        *out = lens;
    else
        logit_lens_destroy(&lens);
    return status;
}

void logit_lens_destroy(struct logit_lens **lens)
{
    struct logit_lens *self = *lens;
    if (!self) return;
    if (self->exec) self->ops->exec_destroy(self->exec);
    if (self->writer) self->ops->packed_destroy(self->writer);
    if (self->head) self->ops->packed_destroy(self->head);
    self->ops->release(self->backend, self->x);
    self->ops->release(self->backend, self->residual);
    self->ops->release(self->backend, self->y);
    free(self->padded);
    free(self);
    *lens = NULL;
}

static status_t multiply(struct logit_lens *lens, const struct packed *weights, const float *x,
                         size_t n_in, float *y, size_t n_out, struct error *err)
{
    const struct matmul_params params = {
        .weights = weights, .x = x, .y = y, .ld_x = n_in, .ld_y = n_out, .n_rows = LOGIT_LENS_ROWS};
    return lens->ops->matmul(lens->exec, &params, err);
}

status_t logit_lens_run(struct logit_lens *lens, const float *directions, size_t n, float *logits,
                        struct error *err)
{
    const size_t n_padded = LOGIT_LENS_ROWS * lens->n_in;
    if (n > LOGIT_LENS_ROWS)
        return error_set(err, ST_TOO_LARGE, "logit lens: %zu directions, at most %d", n,
                         LOGIT_LENS_ROWS);
    memset(lens->padded, 0, n_padded * sizeof *lens->padded);
    memcpy(lens->padded, directions, n * lens->n_in * sizeof *directions);
    status_t status =
        lens->ops->upload(lens->exec, lens->x, lens->padded, n_padded * sizeof(float), err);
    const float *residual = lens->x;
    if (status == ST_OK && lens->writer) {
        status =
            multiply(lens, lens->writer, lens->x, lens->n_in, lens->residual, lens->d_model, err);
        residual = lens->residual;
    }
    if (status == ST_OK)
        status = multiply(lens, lens->head, residual, lens->d_model, lens->y, lens->n_vocab, err);
    return status == ST_OK ? lens->ops->download(lens->exec, logits, lens->y,
                                                 n * lens->n_vocab * sizeof *logits, err)
                           : status;
}
