#include "worker/model/dictionary.h"

#include "common/file.h"
#include "common/size.h"
#include "worker/model/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct dictionary {
    struct dictionary_config config;
    struct backend *backend;
    struct safetensors *file;
    struct sparse *sparse;
    char *directory;
    float *bias;                       /* b_dec [d_in] over the factor */
    float factor;                      /* norm scaling, 1 where there is none */
    const struct tensor_view *decoder; /* [n_features, d_in] */
};

/* Tensors on the host while the encoder weights are made. */
struct parts {
    float *encoder;   /* [d_in, n_features] as stored */
    float *rows;      /* [n_features, d_in] */
    float *bias;      /* b_enc or b_gate */
    float *scale;     /* |W_dec| for rescaled top-k */
    float *floor;     /* threshold */
    float *mag_scale; /* exp(r_mag) */
    float *mag_bias;  /* b_mag */
};

static void parts_fini(struct parts *p)
{
    free(p->encoder);
    free(p->rows);
    free(p->bias);
    free(p->scale);
    free(p->floor);
    free(p->mag_scale);
    free(p->mag_bias);
}

void dictionary_close(struct dictionary **pointer)
{
    struct dictionary *d = *pointer;
    if (!d) return;
    if (d->sparse) d->backend->ops->sparse_destroy(d->sparse);
    safetensors_close(&d->file);
    free(d->directory);
    free(d->bias);
    free(d);
    *pointer = NULL;
}

static status_t check_shape(const struct tensor_view *view, size_t rows, size_t columns,
                            struct error *err)
{
    const bool fits = rows
                          ? view->n_dims == 2 && view->shape[0] == rows && view->shape[1] == columns
                          : view->n_dims == 1 && view->shape[0] == columns;
    if (fits) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "tensor %s: shape [%zu, %zu] (%zu dimensions), d_in and d_sae say [%zu, %zu]",
                     view->name, view->n_dims > 1 ? view->shape[0] : 1,
                     view->n_dims ? view->shape[view->n_dims - 1] : 1, view->n_dims,
                     rows ? rows : 1, columns);
}

static status_t check_finite(const char *name, const float *values, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            return error_set(err, ST_BAD_INPUT, "tensor %s: value %zu is not finite", name, i);
    }
    return ST_OK;
}

/* Read [rows, columns] (rows = 0: a vector) as finite f32 into new memory. */
static status_t read_tensor(const struct dictionary *d, const char *name, size_t rows,
                            size_t columns, float **out, struct error *err)
{
    const struct tensor_view *view = safetensors_find(d->file, name);
    size_t n_bytes;
    if (!view) return error_set(err, ST_NOT_FOUND, "tensor %s is missing", name);
    status_t status = check_shape(view, rows, columns, err);
    if (status != ST_OK) return status;
    if (!size_tensor(rows ? rows : 1, columns, sizeof(float), &n_bytes) || !n_bytes)
        return error_set(err, ST_TOO_LARGE, "tensor %s", name);
    const size_t n = n_bytes / sizeof(float);
    float *values = malloc(n_bytes);
    if (!values) return error_set(err, ST_NO_MEMORY, "tensor %s", name);
    status = tensor_to_f32(view, values, n, err);
    if (status == ST_OK) status = check_finite(name, values, n, err);
    if (status == ST_OK)
        *out = values;
    else
        free(values);
    return status;
}

/* A relic that SAELens drops where it does nothing. */
static status_t check_scaling_factor(const struct dictionary *d, struct error *err)
{
    float *values = NULL;
    if (!safetensors_find(d->file, "scaling_factor")) return ST_OK;
    status_t status = read_tensor(d, "scaling_factor", 0, d->config.n_features, &values, err);
    for (size_t i = 0; status == ST_OK && i < d->config.n_features; i++) {
        if (values[i] != 1.0f)
            status = error_set(err, ST_UNSUPPORTED, "tensor scaling_factor is not all ones");
    }
    free(values);
    return status;
}

static void scale_all(float *values, size_t n, float factor)
{
    for (size_t i = 0; i < n; i++) values[i] *= factor;
}

/* Stored [d_in, n_features], wanted by feature; in square blocks, for the cache's sake. */
static status_t turn_encoder(const struct dictionary *d, struct parts *p, struct error *err)
{
    const size_t d_in = d->config.d_in, n = d->config.n_features, block = 32;
    p->rows = calloc(n, d_in * sizeof *p->rows);
    if (!p->rows || !p->encoder) return error_set(err, ST_NO_MEMORY, "encoder %zu x %zu", n, d_in);
    for (size_t i0 = 0; i0 < d_in; i0 += block) {
        for (size_t f0 = 0; f0 < n; f0 += block) {
            for (size_t i = i0; i < i0 + block && i < d_in; i++) {
                for (size_t f = f0; f < f0 + block && f < n; f++)
                    p->rows[f * d_in + i] = p->encoder[i * n + f];
            }
        }
    }
    return ST_OK;
}

static status_t read_decoder_norms(const struct dictionary *d, struct parts *p, struct error *err)
{
    const size_t d_in = d->config.d_in, n = d->config.n_features;
    float *decoder = NULL;
    status_t status = read_tensor(d, "W_dec", n, d_in, &decoder, err);
    if (status == ST_OK && d->config.is_rescaled_by_decoder) {
        p->scale = malloc(n * sizeof *p->scale);
        if (!p->scale) status = error_set(err, ST_NO_MEMORY, "decoder norms");
    }
    for (size_t f = 0; status == ST_OK && p->scale && f < n; f++) {
        double sum = 0;
        for (size_t i = 0; i < d_in; i++) {
            const double w = (double)(decoder[f * d_in + i] / d->factor);
            sum += w * w;
        }
        p->scale[f] = (float)sqrt(sum);
    }
    free(decoder);
    return status;
}

static status_t read_gated(const struct dictionary *d, struct parts *p, struct error *err)
{
    const size_t n = d->config.n_features;
    status_t status = read_tensor(d, "b_gate", 0, n, &p->bias, err);
    if (status == ST_OK) status = read_tensor(d, "r_mag", 0, n, &p->mag_scale, err);
    if (status == ST_OK) status = read_tensor(d, "b_mag", 0, n, &p->mag_bias, err);
    for (size_t f = 0; status == ST_OK && f < n; f++) p->mag_scale[f] = expf(p->mag_scale[f]);
    return status == ST_OK ? check_finite("r_mag (its exponential)", p->mag_scale, n, err) : status;
}

static status_t read_parts(struct dictionary *d, struct parts *p, struct error *err)
{
    const struct dictionary_config *c = &d->config;
    status_t status = check_scaling_factor(d, err);
    if (status == ST_OK) status = read_tensor(d, "W_enc", c->d_in, c->n_features, &p->encoder, err);
    if (status == ST_OK) scale_all(p->encoder, c->d_in * c->n_features, d->factor);
    if (status == ST_OK) status = turn_encoder(d, p, err);
    if (status == ST_OK) status = read_decoder_norms(d, p, err);
    if (status == ST_OK) status = read_tensor(d, "b_dec", 0, c->d_in, &d->bias, err);
    if (status == ST_OK && c->architecture == DICTIONARY_GATED)
        status = read_gated(d, p, err);
    else if (status == ST_OK)
        status = read_tensor(d, "b_enc", 0, c->n_features, &p->bias, err);
    if (status == ST_OK && c->architecture == DICTIONARY_JUMPRELU)
        status = read_tensor(d, "threshold", 0, c->n_features, &p->floor, err);
    return status;
}

static status_t make_sparse(struct dictionary *d, const struct parts *p, struct error *err)
{
    const struct sparse_params params = {.n_in = d->config.d_in,
                                         .n_features = d->config.n_features,
                                         .weights = p->rows,
                                         .bias = p->bias,
                                         .scale = p->scale,
                                         .floor = p->floor,
                                         .mag_scale = p->mag_scale,
                                         .mag_bias = p->mag_bias,
                                         .k = d->config.k};
    return d->backend->ops->sparse_create(&d->sparse, d->backend, &params, err);
}

static status_t open_weights(struct dictionary *d, struct error *err)
{
    struct parts parts = {.encoder = NULL};
    char *path = file_join(d->directory, "sae_weights.safetensors");
    if (!path) return error_set(err, ST_NO_MEMORY, "path");
    status_t status = safetensors_open(&d->file, path, err);
    free(path);
    if (status != ST_OK) return status;
    status = read_parts(d, &parts, err);
    d->decoder = safetensors_find(d->file, "W_dec");
    if (status == ST_OK) status = make_sparse(d, &parts, err);
    parts_fini(&parts);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < d->config.d_in; i++) d->bias[i] /= d->factor;
    return ST_OK;
}

static status_t set_factor(struct dictionary *d, double factor, struct error *err)
{
    const bool is_needed = d->config.norm == DICTIONARY_NORM_EXPECTED_AVERAGE;
    d->factor = 1;
    if (is_needed && factor == 0)
        return error_set(err, ST_BAD_INPUT,
                         "normalize_activations is expected_average_only_in: "
                         "norm_scaling_factor must be given");
    if (!is_needed && factor != 0)
        return error_set(err, ST_BAD_INPUT, "norm_scaling_factor is given and not used");
    if (!is_needed) return ST_OK;
    d->factor = (float)factor;
    if (!(d->factor > 0) || !isfinite(d->factor))
        return error_set(err, ST_BAD_INPUT, "norm_scaling_factor %g is not positive", factor);
    return ST_OK;
}

static status_t open_all(struct dictionary *d, const struct dictionary_params *p, struct error *err)
{
    status_t status = dictionary_config_read(&d->config, p->directory, err);
    if (status != ST_OK) return status;
    status = set_factor(d, p->norm_scaling_factor, err);
    if (status == ST_OK) status = open_weights(d, err);
    return status == ST_OK ? ST_OK : error_wrap(err, "dictionary %s", p->directory);
}

status_t dictionary_open(struct dictionary **out, const struct dictionary_params *params,
                         struct error *err)
{
    if (!backend_supports(params->backend, BACKEND_SPARSE_ENCODE))
        return error_set(err, ST_UNSUPPORTED, "backend %s cannot encode",
                         params->backend->ops->name);
    struct dictionary *d = calloc(1, sizeof *d);
    if (!d) return error_set(err, ST_NO_MEMORY, "dictionary");
    d->backend = params->backend;
    d->directory = strdup(params->directory);
    status_t status = d->directory ? ST_OK : error_set(err, ST_NO_MEMORY, "dictionary");
    if (status == ST_OK) status = open_all(d, params, err);
    if (status != ST_OK) {
        dictionary_close(&d);
        return status;
    }
    *out = d;
    return ST_OK;
}

const struct dictionary_config *dictionary_config(const struct dictionary *dictionary)
{
    return &dictionary->config;
}

const char *dictionary_directory(const struct dictionary *dictionary)
{
    return dictionary->directory;
}

struct backend *dictionary_backend(const struct dictionary *dictionary)
{
    return dictionary->backend;
}

size_t dictionary_device_bytes(const struct dictionary *dictionary)
{
    return dictionary->backend->ops->sparse_bytes(dictionary->sparse);
}

const struct sparse *dictionary_sparse(const struct dictionary *dictionary)
{
    return dictionary->sparse;
}

const float *dictionary_input_bias(const struct dictionary *dictionary)
{
    return dictionary->config.has_b_dec_in_input ? dictionary->bias : NULL;
}

const float *dictionary_output_bias(const struct dictionary *dictionary)
{
    return dictionary->bias;
}

status_t dictionary_decoder_row(const struct dictionary *d, size_t feature, float *out,
                                struct error *err)
{
    const size_t d_in = d->config.d_in;
    if (feature >= d->config.n_features)
        return error_set(err, ST_NOT_FOUND, "feature %zu of %zu", feature, d->config.n_features);
    const size_t n_row = d_in * tensor_dtype_bytes(d->decoder->dtype);
    struct tensor_view row = *d->decoder;
    row.n_dims = 1;
    row.shape[0] = d_in;
    row.data = (const unsigned char *)d->decoder->data + feature * n_row;
    row.n_bytes = n_row;
    const status_t status = tensor_to_f32(&row, out, d_in, err);
    for (size_t i = 0; i < d_in && status == ST_OK; i++) out[i] /= d->factor;
    return status;
}

status_t dictionary_direction(const struct dictionary *d, size_t feature, float *out,
                              struct error *err)
{
    const size_t d_in = d->config.d_in;
    double squares = 0;
    const status_t status = dictionary_decoder_row(d, feature, out, err);
    if (status != ST_OK || !d->config.is_rescaled_by_decoder) return status;
    for (size_t i = 0; i < d_in; i++) squares += (double)out[i] * (double)out[i];
    for (size_t i = 0; i < d_in && squares > 0; i++)
        out[i] = (float)((double)out[i] / sqrt(squares));
    return status;
}
