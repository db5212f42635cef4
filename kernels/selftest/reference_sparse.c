/* The sparse encode of backend.h with every pair computed, in its order of operations: the one part
 * of the reference that rounds at each step, because the contract does. */
#include "kernels/selftest/reference.h"
#include "kernels/selftest/reference_tally.h"

#include "common/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DOT_LANES = 16 };

struct sparse {
    struct sparse_params params; /* its arrays are in `floats` */
    float *floats;
};

struct sparse_encoder {
    const struct sparse *sparse;
    bool *is_selected; /* [n_features] */
    float *values;     /* [n_features] of the token at hand */
    struct sparse_rows rows;
    size_t n_row_room;
    uint64_t n_tokens, n_fired;
    struct reference_tally tally;
};

/* Copy an array that may be missing behind `*to`. */
static const float *take(float **to, const float *from, size_t n)
{
    float *out = *to;
    if (!from) return NULL;
    memcpy(out, from, n * sizeof *from);
    *to += n;
    return out;
}

status_t reference_sparse_create(struct sparse **out, struct backend *backend,
                                 const struct sparse_params *p, struct error *err)
{
    (void)backend;
    const size_t n = p->n_features;
    size_t n_bytes;
    struct sparse *s = calloc(1, sizeof *s);
    if (!s || !size_tensor(n, p->n_in + 5, sizeof(float), &n_bytes) ||
        !(s->floats = malloc(n_bytes))) {
        free(s);
        return error_set(err, ST_NO_MEMORY, "encoder weights %zu x %zu", n, p->n_in);
    }
    float *at = s->floats;
    s->params = *p;
    s->params.weights = take(&at, p->weights, n * p->n_in);
    s->params.bias = take(&at, p->bias, n);
    s->params.scale = take(&at, p->scale, n);
    s->params.floor = take(&at, p->floor, n);
    s->params.mag_scale = take(&at, p->mag_scale, n);
    s->params.mag_bias = take(&at, p->mag_bias, n);
    *out = s;
    return ST_OK;
}

void reference_sparse_destroy(struct sparse *s)
{
    if (s) free(s->floats);
    free(s);
}

size_t reference_sparse_bytes(const struct sparse *s)
{
    return s->params.n_features * s->params.n_in * sizeof(float);
}

void reference_encoder_destroy(struct sparse_encoder *e)
{
    if (!e) return;
    reference_tally_fini(&e->tally);
    free(e->is_selected);
    free(e->values);
    free(e->rows.row_start);
    free(e->rows.feature);
    free(e->rows.value);
    free(e);
}

status_t reference_encoder_create(struct sparse_encoder **out, struct exec *exec,
                                  const struct sparse_encoder_params *p, struct error *err)
{
    (void)exec;
    const size_t n = p->sparse->params.n_features;
    struct sparse_encoder *e = calloc(1, sizeof *e);
    if (e) e->is_selected = calloc(n, sizeof *e->is_selected);
    if (e) e->values = calloc(n, sizeof *e->values);
    if (!e || !e->is_selected || !e->values) {
        reference_encoder_destroy(e);
        return error_set(err, ST_NO_MEMORY, "encoder of %zu features", n);
    }
    e->sparse = p->sparse;
    const status_t status = reference_tally_init(&e->tally, n, p->tally_k, err);
    if (status != ST_OK) {
        reference_encoder_destroy(e);
        return status;
    }
    for (size_t f = 0; !p->features && f < n; f++) e->is_selected[f] = true;
    for (size_t i = 0; p->features && i < p->n_selected; i++) e->is_selected[p->features[i]] = true;
    *out = e;
    return ST_OK;
}

static float exact_dot(const float *x, const float *w, size_t n)
{
    float lanes[DOT_LANES] = {0};
    for (size_t i = 0; i < n; i++) lanes[i % DOT_LANES] = fmaf(x[i], w[i], lanes[i % DOT_LANES]);
    for (size_t half = DOT_LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

/* What the feature gives on the token, before the competition of topk; 0: silent. */
static float value_of(const struct sparse_params *p, const float *x, size_t f)
{
    const float dot = exact_dot(x, p->weights + f * p->n_in, p->n_in);
    float pre = dot + p->bias[f];
    if (p->scale) pre *= p->scale[f];
    if (!(pre > 0) || (p->floor && !(pre > p->floor[f]))) return 0;
    if (!p->mag_scale) return pre;
    const float product = dot * p->mag_scale[f], value = product + p->mag_bias[f];
    return value > 0 ? value : 0;
}

/* How many features come before f: larger, or equal and lower. */
static size_t rank_of(const float *values, size_t n, size_t f)
{
    size_t rank = 0;
    for (size_t g = 0; g < n; g++)
        rank += values[g] > values[f] || (values[g] == values[f] && g < f);
    return rank;
}

static bool fires(const struct sparse_encoder *e, size_t f)
{
    const struct sparse_params *p = &e->sparse->params;
    if (!(e->values[f] > 0) || !e->is_selected[f]) return false;
    return !p->k || rank_of(e->values, p->n_features, f) < p->k;
}

static status_t reserve(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    const size_t n = n_tokens * e->sparse->params.n_features;
    if (n_tokens <= e->n_row_room) return ST_OK;
    free(e->rows.row_start);
    free(e->rows.feature);
    free(e->rows.value);
    e->n_row_room = 0;
    e->rows.row_start = calloc(n_tokens + 1, sizeof *e->rows.row_start);
    e->rows.feature = calloc(n, sizeof *e->rows.feature);
    e->rows.value = calloc(n, sizeof *e->rows.value);
    if (!e->rows.row_start || !e->rows.feature || !e->rows.value)
        return error_set(err, ST_NO_MEMORY, "%zu rows", n_tokens);
    e->n_row_room = n_tokens;
    return ST_OK;
}

status_t reference_encode(struct sparse_encoder *e, const float *x, size_t n_tokens,
                          struct sparse_rows *out, struct error *err)
{
    const struct sparse_params *p = &e->sparse->params;
    const status_t status = reserve(e, n_tokens, err);
    size_t at = 0;
    if (status != ST_OK) return status;
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t f = 0; f < p->n_features; f++) e->values[f] = value_of(p, x + t * p->n_in, f);
        for (size_t f = 0; f < p->n_features; f++) {
            if (!fires(e, f)) continue;
            e->rows.feature[at] = (uint32_t)f;
            e->rows.value[at++] = e->values[f];
        }
        e->rows.row_start[t + 1] = at;
    }
    e->rows.n_rows = n_tokens;
    e->n_tokens += n_tokens;
    e->n_fired += at;
    *out = e->rows;
    return reference_tally_take(&e->tally, &e->rows, err);
}

status_t reference_encoder_tally(struct sparse_encoder *e, struct sparse_tally *out,
                                 struct error *err)
{
    return reference_tally_read(&e->tally, out, err);
}

struct sparse_stats reference_encoder_stats(const struct sparse_encoder *e)
{
    return (struct sparse_stats){.n_tokens = e->n_tokens,
                                 .n_candidates = e->n_tokens * e->sparse->params.n_features,
                                 .n_fired = e->n_fired,
                                 .screen = SCREEN_NONE};
}

/* Sum and squares of a row in double, ascending. */
struct row_sums {
    double sum, squares;
};

static struct row_sums sums_of(const float *x, size_t d)
{
    struct row_sums s = {0, 0};
    for (size_t i = 0; i < d; i++) {
        const double value = (double)x[i];
        s.sum += value;
        s.squares += value * value;
    }
    return s;
}

static void take_mean(float *x, size_t d)
{
    const float mean = (float)(sums_of(x, d).sum / (double)d);
    for (size_t i = 0; i < d; i++) x[i] -= mean;
}

/* One row with the roundings that backend.h promises, since bits are promised; returns what undoes
 * the norm. */
static float prepare_one(const struct prepare_params *p, const float *from, float *to)
{
    const size_t d = p->d;
    const double n = (double)d;
    float scale = 1;
    for (size_t i = 0; i < d; i++) to[i] = from[i];
    if (p->is_centred) take_mean(to, d);
    if (p->kind == PREPARE_LAYER) take_mean(to, d);
    const struct row_sums s = sums_of(to, d);
    if (p->kind == PREPARE_LAYER) {
        const double rest = s.sum / n, variance = fmax(s.squares - n * rest * rest, 0) / (n - 1);
        const float divisor = (float)sqrt(variance) + 1e-5f;
        for (size_t i = 0; i < d; i++) to[i] /= divisor;
        scale = divisor;
    } else if (p->kind == PREPARE_CONSTANT) {
        const float factor = sqrtf((float)d) / (float)sqrt(s.squares);
        for (size_t i = 0; i < d; i++) to[i] *= factor;
        scale = 1 / factor;
    }
    for (size_t i = 0; p->bias && i < d; i++) to[i] -= p->bias[i];
    return scale;
}

status_t reference_prepare(struct exec *exec, const struct prepare_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t r = 0; r < p->n_rows; r++) {
        const float scale = prepare_one(p, p->x + r * p->d, p->out + r * p->d);
        if (p->scales && p->kind != PREPARE_NONE) p->scales[r] = scale;
    }
    return ST_OK;
}
