#include "worker/model/encoder.h"

#include "common/size.h"
#include "kernels/prepare_row.h"

#include <stdlib.h>
#include <string.h>

enum { ENCODER_ROW_BLOCK = 256 };

/* Device rows [n_rows, d_in], grown. */
struct encoder_rows {
    float *device;
    size_t n_rows;
};

struct encoder {
    const struct dictionary *dictionary;
    struct backend *backend;
    struct exec *exec;
    struct sparse_encoder *sparse;
    float *bias;                  /* device [d_in], what is subtracted from rows; or NULL */
    struct encoder_rows rows;     /* prepared */
    struct encoder_rows uploaded; /* as the host gave them */
    float *scales;                /* device [n_scales] */
    size_t n_scales;
};

static void free_rows(struct encoder *e, struct encoder_rows *rows)
{
    e->backend->ops->release(e->backend, rows->device);
    *rows = (struct encoder_rows){0};
}

void encoder_destroy(struct encoder **pointer)
{
    struct encoder *e = *pointer;
    if (!e) return;
    if (e->sparse) e->backend->ops->sparse_encoder_destroy(e->sparse);
    if (e->exec) e->backend->ops->exec_destroy(e->exec);
    free_rows(e, &e->rows);
    free_rows(e, &e->uploaded);
    e->backend->ops->release(e->backend, e->bias);
    e->backend->ops->release(e->backend, e->scales);
    free(e);
    *pointer = NULL;
}

static status_t put_bias(struct encoder *e, struct error *err)
{
    const struct backend_ops *ops = e->backend->ops;
    const float *bias = dictionary_input_bias(e->dictionary);
    const size_t n_bytes = dictionary_config(e->dictionary)->d_in * sizeof *bias;
    void *device = NULL;
    if (!bias) return ST_OK;
    const status_t status = ops->alloc(e->backend, n_bytes, &device, err);
    if (status != ST_OK) return status;
    e->bias = device;
    return ops->upload(e->exec, device, bias, n_bytes, err);
}

status_t encoder_create(struct encoder **out, const struct encoder_params *p, struct error *err)
{
    struct encoder *e = calloc(1, sizeof *e);
    if (!e) return error_set(err, ST_NO_MEMORY, "encoder");
    e->dictionary = p->dictionary;
    e->backend = dictionary_backend(p->dictionary);
    const struct exec_params exec = {.row_block = ENCODER_ROW_BLOCK};
    const struct sparse_encoder_params sparse = {.sparse = dictionary_sparse(p->dictionary),
                                                 .screen = p->screen,
                                                 .features = p->features,
                                                 .n_selected = p->n_selected,
                                                 .tally_k = p->tally_k};
    status_t status = e->backend->ops->exec_create(&e->exec, e->backend, &exec, err);
    if (status == ST_OK) status = put_bias(e, err);
    if (status == ST_OK)
        status = e->backend->ops->sparse_encoder_create(&e->sparse, e->exec, &sparse, err);
    if (status != ST_OK) {
        encoder_destroy(&e);
        return status;
    }
    *out = e;
    return ST_OK;
}

static status_t reserve_rows(struct encoder *e, struct encoder_rows *rows, size_t n_tokens,
                             struct error *err)
{
    size_t n_bytes;
    void *device = NULL;
    if (n_tokens <= rows->n_rows) return ST_OK;
    if (!size_tensor(n_tokens, dictionary_config(e->dictionary)->d_in, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu activations", n_tokens);
    free_rows(e, rows);
    const status_t status = e->backend->ops->alloc(e->backend, n_bytes, &device, err);
    if (status != ST_OK) return status;
    *rows = (struct encoder_rows){.device = device, .n_rows = n_tokens};
    return ST_OK;
}

static enum prepare_kind kind_of(const struct dictionary_config *c)
{
    if (c->norm == DICTIONARY_NORM_CONSTANT) return PREPARE_CONSTANT;
    return c->norm == DICTIONARY_NORM_LAYER ? PREPARE_LAYER : PREPARE_NONE;
}

/* Centred and normed; returns what undoes the norm. */
static float norm_row(const struct dictionary_config *c, const float *from, float *to)
{
    return prepare_row(kind_of(c), c->is_centred, from, to, c->d_in);
}

static float mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    return (float)(sum / (double)n);
}

float encoder_output_scale(const struct dictionary *dictionary, const float *acts, float *scratch)
{
    return norm_row(dictionary_config(dictionary), acts, scratch);
}

status_t encoder_decode(const struct dictionary *dictionary, const float *acts,
                        const uint32_t *features, const float *values, size_t n, float *scratch,
                        float *out, struct error *err)
{
    const struct dictionary_config *c = dictionary_config(dictionary);
    const float *bias = dictionary_output_bias(dictionary);
    const bool has_mean = c->norm == DICTIONARY_NORM_LAYER && !c->is_centred;
    const float mean = has_mean ? mean_of(acts, c->d_in) : 0.0F;
    const float scale = norm_row(c, acts, scratch);
    memcpy(out, bias, c->d_in * sizeof *out);
    for (size_t k = 0; k < n; k++) {
        const status_t status = dictionary_direction(dictionary, features[k], scratch, err);
        if (status != ST_OK) return status;
        for (size_t i = 0; i < c->d_in; i++) out[i] += values[k] * scratch[i];
    }
    for (size_t i = 0; i < c->d_in; i++) out[i] = out[i] * scale + mean;
    return ST_OK;
}

/* Into e->rows. */
static status_t prepare(struct encoder *e, const float *acts, size_t n_tokens, float *scales,
                        struct error *err)
{
    const struct dictionary_config *c = dictionary_config(e->dictionary);
    const status_t status = reserve_rows(e, &e->rows, n_tokens, err);
    const struct prepare_params p = {.x = acts,
                                     .bias = e->bias,
                                     .out = e->rows.device,
                                     .n_rows = n_tokens,
                                     .d = c->d_in,
                                     .kind = kind_of(c),
                                     .is_centred = c->is_centred,
                                     .scales = scales};
    return status == ST_OK ? e->backend->ops->prepare(e->exec, &p, err) : status;
}

static status_t reserve_scales(struct encoder *e, size_t n, struct error *err)
{
    const struct backend_ops *ops = e->backend->ops;
    void *device = NULL;
    if (n <= e->n_scales) return ST_OK;
    ops->release(e->backend, e->scales);
    e->scales = NULL;
    e->n_scales = 0;
    const status_t status = ops->alloc(e->backend, n * sizeof *e->scales, &device, err);
    if (status != ST_OK) return status;
    e->scales = device;
    e->n_scales = n;
    return ST_OK;
}

bool encoder_has_output_scale(const struct dictionary *dictionary)
{
    return kind_of(dictionary_config(dictionary)) != PREPARE_NONE;
}

status_t encoder_output_scales(struct encoder *e, const float *acts, size_t n_tokens, float *out,
                               struct error *err)
{
    status_t status = reserve_scales(e, n_tokens, err);
    if (status == ST_OK) status = prepare(e, acts, n_tokens, e->scales, err);
    return status == ST_OK
               ? e->backend->ops->download(e->exec, out, e->scales, n_tokens * sizeof *out, err)
               : status;
}

status_t encoder_run_device(struct encoder *e, const float *acts, size_t n_tokens,
                            struct sparse_rows *out, struct error *err)
{
    const struct backend_ops *ops = e->backend->ops;
    const status_t status = prepare(e, acts, n_tokens, NULL, err);
    return status == ST_OK ? ops->sparse_encode(e->sparse, e->rows.device, n_tokens, out, err)
                           : status;
}

status_t encoder_digest_device(struct encoder *e, const float *acts,
                               const struct digest_params *params, struct digest *out,
                               struct error *err)
{
    struct digest_params p = *params;
    const status_t status = prepare(e, acts, p.n_tokens, NULL, err);
    p.x = e->rows.device;
    return status == ST_OK ? e->backend->ops->sparse_digest(e->sparse, &p, out, err) : status;
}

status_t encoder_run(struct encoder *e, const float *acts, size_t n_tokens, struct sparse_rows *out,
                     struct error *err)
{
    const struct backend_ops *ops = e->backend->ops;
    const size_t n_bytes = n_tokens * dictionary_config(e->dictionary)->d_in * sizeof *acts;
    if (ops->memory_is_host) return encoder_run_device(e, acts, n_tokens, out, err);
    status_t status = reserve_rows(e, &e->uploaded, n_tokens, err);
    if (status == ST_OK) status = ops->upload(e->exec, e->uploaded.device, acts, n_bytes, err);
    return status == ST_OK ? encoder_run_device(e, e->uploaded.device, n_tokens, out, err) : status;
}

status_t encoder_tally(struct encoder *e, struct sparse_tally *out, struct error *err)
{
    return e->backend->ops->sparse_tally(e->sparse, out, err);
}

struct sparse_stats encoder_stats(const struct encoder *encoder)
{
    return encoder->backend->ops->sparse_stats(encoder->sparse);
}
