#include "worker/model/encoder.h"

#include "common/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ENCODER_ROW_BLOCK = 256 };

struct encoder {
    const struct dictionary *dictionary;
    struct backend *backend;
    struct exec *exec;
    struct sparse_encoder *sparse;
    float *rows;   /* host [n_rows, d_in], prepared activations */
    float *device; /* the same on the device; is `rows` where memory is shared */
    size_t n_rows;
};

static void free_rows(struct encoder *e)
{
    e->backend->ops->release(e->backend, e->device);
    if (e->rows != e->device) free(e->rows);
    e->rows = e->device = NULL;
    e->n_rows = 0;
}

void encoder_destroy(struct encoder **pointer)
{
    struct encoder *e = *pointer;
    if (!e) return;
    if (e->sparse) e->backend->ops->sparse_encoder_destroy(e->sparse);
    if (e->exec) e->backend->ops->exec_destroy(e->exec);
    free_rows(e);
    free(e);
    *pointer = NULL;
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
                                                 .n_selected = p->n_selected};
    status_t status = e->backend->ops->exec_create(&e->exec, e->backend, &exec, err);
    if (status == ST_OK)
        status = e->backend->ops->sparse_encoder_create(&e->sparse, e->exec, &sparse, err);
    if (status != ST_OK) {
        encoder_destroy(&e);
        return status;
    }
    *out = e;
    return ST_OK;
}

static status_t reserve_rows(struct encoder *e, size_t n_tokens, struct error *err)
{
    size_t n_bytes;
    void *device = NULL;
    if (n_tokens <= e->n_rows) return ST_OK;
    if (!size_tensor(n_tokens, dictionary_config(e->dictionary)->d_in, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "%zu activations", n_tokens);
    free_rows(e);
    const status_t status = e->backend->ops->alloc(e->backend, n_bytes, &device, err);
    if (status != ST_OK) return status;
    e->device = device;
    e->rows = e->backend->ops->memory_is_host ? e->device : malloc(n_bytes);
    if (!e->rows) return error_set(err, ST_NO_MEMORY, "%zu activations", n_tokens);
    e->n_rows = n_tokens;
    return ST_OK;
}

static double row_sum(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

static double row_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void subtract(float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++) x[i] -= value;
}

/* (x - mean) / (std + 1e-5), std with n - 1 (SAELens: torch's std, eps outside the root); returns
 * the divisor. */
static float layer_norm(float *x, size_t n)
{
    subtract(x, n, (float)(row_sum(x, n) / (double)n));
    /* torch takes the mean out once more inside std(); it is rounding by now */
    const double mean = row_sum(x, n) / (double)n;
    const double squares = row_squares(x, n) - (double)n * mean * mean;
    const float divisor = (float)sqrt(fmax(squares, 0) / (double)(n - 1)) + 1e-5f;
    for (size_t i = 0; i < n; i++) x[i] /= divisor;
    return divisor;
}

static float constant_norm(float *x, size_t n)
{
    const float factor = sqrtf((float)n) / (float)sqrt(row_squares(x, n));
    for (size_t i = 0; i < n; i++) x[i] *= factor;
    return 1.0f / factor;
}

/* Centred and normed; returns what undoes the norm. */
static float norm_row(const struct dictionary_config *c, const float *from, float *to)
{
    const size_t n = c->d_in;
    memcpy(to, from, n * sizeof *to);
    if (c->is_centred) subtract(to, n, (float)(row_sum(to, n) / (double)n));
    if (c->norm == DICTIONARY_NORM_CONSTANT) return constant_norm(to, n);
    return c->norm == DICTIONARY_NORM_LAYER ? layer_norm(to, n) : 1.0f;
}

static void prepare_row(const struct encoder *e, const float *from, float *to)
{
    const struct dictionary_config *c = dictionary_config(e->dictionary);
    const float *bias = dictionary_input_bias(e->dictionary);
    (void)norm_row(c, from, to);
    for (size_t i = 0; bias && i < c->d_in; i++) to[i] -= bias[i];
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
    const double all = row_sum(acts, c->d_in) / (double)c->d_in;
    const float mean = c->norm == DICTIONARY_NORM_LAYER && !c->is_centred ? (float)all : 0.0F;
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

status_t encoder_run(struct encoder *e, const float *acts, size_t n_tokens, struct sparse_rows *out,
                     struct error *err)
{
    const struct backend_ops *ops = e->backend->ops;
    const size_t d_in = dictionary_config(e->dictionary)->d_in;
    status_t status = reserve_rows(e, n_tokens, err);
    if (status != ST_OK) return status;
    for (size_t t = 0; t < n_tokens; t++) prepare_row(e, acts + t * d_in, e->rows + t * d_in);
    if (e->device != e->rows)
        status = ops->upload(e->exec, e->device, e->rows, n_tokens * d_in * sizeof(float), err);
    if (status != ST_OK) return status;
    return ops->sparse_encode(e->sparse, e->device, n_tokens, out, err);
}

struct sparse_stats encoder_stats(const struct encoder *encoder)
{
    return encoder->backend->ops->sparse_stats(encoder->sparse);
}
