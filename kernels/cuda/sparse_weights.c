#include "kernels/cuda/sparse.h"
#include "kernels/cuda/sparse_encoder.h"

#include "common/size.h"
#include "kernels/sparse_params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_STEP = 16 /* lanes of the exact dot */ };
static const float ROUND_UP = 1.0001f; /* covers the f32 rounding of norms and bounds */

/* Arrays of a dictionary on the host, on their way to the device. */
struct staging {
    float *rows;                                      /* [n_features, n_row] */
    uint16_t *rows_hi;                                /* likewise */
    float *factor, *offset, *slack, *norm, *residual; /* [n_features] */
};

static void staging_fini(struct staging *s)
{
    free(s->rows);
    free(s->rows_hi);
    free(s->factor);
}

static status_t staging_init(struct staging *s, const struct sparse_device *d, struct error *err)
{
    size_t n_bytes;
    if (!size_tensor(d->n_features, d->n_row, sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "encoder weights %zu x %zu", d->n_features, d->n_in);
    s->rows = calloc(1, n_bytes);
    s->rows_hi = malloc(n_bytes / 2);
    s->factor = calloc(5 * d->n_features, sizeof *s->factor);
    if (!s->rows || !s->rows_hi || !s->factor)
        return error_set(err, ST_NO_MEMORY, "encoder weights: %zu bytes", n_bytes);
    s->offset = s->factor + d->n_features;
    s->slack = s->offset + d->n_features;
    s->norm = s->slack + d->n_features;
    s->residual = s->norm + d->n_features;
    return ST_OK;
}

/* Round `value` to bf16; returns what is left of it. */
static double round_bf16(float value, uint16_t *out)
{
    uint32_t bits;
    float back;
    memcpy(&bits, &value, sizeof bits);
    *out = (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    bits = (uint32_t)*out << 16;
    memcpy(&back, &bits, sizeof back);
    return (double)value - (double)back;
}

static void stage_feature(struct staging *s, const struct sparse_device *d,
                          const struct sparse_params *p, size_t f)
{
    const double factor = p->scale ? (double)p->scale[f] : 1;
    const double floor = p->floor ? fmax((double)p->floor[f], 0) : 0;
    const double bias = (double)p->bias[f] * factor;
    /* What the additions of bias and floor may round away, and denormal products. */
    const double slack = (fabs(bias) + fabs(floor)) * 1e-6 + 1e-30;
    float *row = s->rows + f * d->n_row;
    double square = 0, rest = 0;
    memcpy(row, p->weights + f * d->n_in, d->n_in * sizeof *row);
    for (size_t i = 0; i < d->n_row; i++) {
        const double left = round_bf16(row[i], &s->rows_hi[f * d->n_row + i]);
        square += (double)row[i] * (double)row[i];
        rest += left * left;
    }
    s->factor[f] = (float)factor;
    s->offset[f] = (float)(bias - floor + slack);
    s->slack[f] = (float)slack * ROUND_UP;
    s->norm[f] = (float)(sqrt(square) * factor) * ROUND_UP + 1e-30f;
    s->residual[f] = (float)(sqrt(rest) * factor) * ROUND_UP;
}

/* A copy on the device; NULL of NULL. */
static status_t put(struct sparse *s, const void *host, size_t n, size_t item, void *slot,
                    struct error *err)
{
    void *memory = NULL;
    if (!host) return ST_OK;
    const status_t status = device_copy_of(s->owner, host, n * item, &memory, err);
    if (status != ST_OK) return status;
    s->n_bytes += n * item;
    memcpy(slot, &memory, sizeof memory);
    return ST_OK;
}

static status_t put_all(struct sparse *s, const struct staging *from, const struct sparse_params *p,
                        struct error *err)
{
    struct sparse_device *d = &s->device;
    const size_t n = d->n_features;
    const struct {
        const float *host;
        const float **slot;
    } VECTORS[] = {{p->bias, &d->bias},         {p->scale, &d->scale},
                   {p->floor, &d->floor},       {p->mag_scale, &d->mag_scale},
                   {p->mag_bias, &d->mag_bias}, {from->factor, &d->factor},
                   {from->offset, &d->offset},  {from->slack, &d->slack},
                   {from->norm, &d->norm},      {from->residual, &d->residual}};
    status_t status = put(s, from->rows, n * d->n_row, sizeof(float), &d->rows, err);
    if (status == ST_OK)
        status = put(s, from->rows_hi, n * d->n_row, sizeof(uint16_t), &d->rows_hi, err);
    for (size_t i = 0; i < sizeof VECTORS / sizeof VECTORS[0] && status == ST_OK; i++)
        status = put(s, VECTORS[i].host, n, sizeof(float), VECTORS[i].slot, err);
    return status;
}

static status_t fill(struct sparse *s, const struct sparse_params *p, struct error *err)
{
    struct staging staging = {.rows = NULL};
    status_t status = staging_init(&staging, &s->device, err);
    for (size_t f = 0; f < s->device.n_features && status == ST_OK; f++)
        stage_feature(&staging, &s->device, p, f);
    if (status == ST_OK) status = put_all(s, &staging, p, err);
    staging_fini(&staging);
    return status;
}

status_t sparse_weights_create(struct sparse **out, struct backend *backend,
                               const struct sparse_params *p, struct error *err)
{
    const struct cuda_device *device = backend->device;
    status_t status = sparse_params_check(p, err);
    if (status == ST_OK)
        status = cuda_check(cudaSetDevice(device->index), "choosing the device", err);
    if (status != ST_OK) return status;
    struct sparse *s = calloc(1, sizeof *s);
    if (!s) return error_set(err, ST_NO_MEMORY, "encoder weights");
    s->owner = device;
    s->device.n_in = p->n_in;
    s->device.n_row = (p->n_in + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
    s->device.n_features = p->n_features;
    s->device.n_words = (p->n_features + SPARSE_WORD - 1) / SPARSE_WORD;
    s->k = p->k;
    /* Tensor cores keep about 22 bits of a partial sum; 64 covers the additions of the bound. */
    s->rounding = (float)(p->n_in + 64) * 0x1p-22f;
    status = fill(s, p, err);
    if (status != ST_OK) {
        sparse_weights_destroy(s);
        return status;
    }
    *out = s;
    return ST_OK;
}

void sparse_weights_destroy(struct sparse *s)
{
    if (!s) return;
    const struct sparse_device *d = &s->device;
    const void *const arrays[] = {d->rows,   d->rows_hi,   d->bias,     d->scale,
                                  d->floor,  d->mag_scale, d->mag_bias, d->factor,
                                  d->offset, d->slack,     d->norm,     d->residual};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) device_free(arrays[i]);
    free(s);
}

size_t sparse_weights_bytes(const struct sparse *s)
{
    return s->n_bytes;
}

struct sparse_cost sparse_weights_estimate(const struct backend *backend, size_t n_in,
                                           size_t n_features, size_t tally_k)
{
    enum { N_VECTORS = 10, N_TOKEN_VECTORS = 5, N_ENDS = 2 /* behind those, and what is bad */ };
    const size_t n_row = (n_in + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
    const size_t n_words = (n_features + SPARSE_WORD - 1) / SPARSE_WORD;
    const size_t per_row = n_row * (sizeof(float) + sizeof(uint16_t));
    const size_t per_token = per_row + n_features * sizeof(float) + n_words * sizeof(uint32_t) +
                             N_TOKEN_VECTORS * sizeof(float);
    (void)backend;
    const size_t n_tally = sparse_tally_bytes(n_features, tally_k);
    if (!n_features || (tally_k && !n_tally)) return (struct sparse_cost){0};
    return (struct sparse_cost){
        .n_weights = n_features * (per_row + N_VECTORS * sizeof(float)),
        .n_encoder = sparse_encoder_block(n_features) * per_token +
                     sparse_encoder_pass(n_features) * SPARSE_CANDIDATE_BYTES +
                     n_words * sizeof(uint32_t) + N_ENDS * sizeof(uint64_t) + n_tally};
}
