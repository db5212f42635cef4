#include "kernels/cpu/sparse_encoder.h"

#include <math.h>
#include <string.h>

static const float NORM_ROUND_UP = 1.0001f; /* covers the f32 rounding of the norms */

struct row_moments {
    double norm, residual, rounded_norm; /* |x|, |x - x'|, |x'| */
};

/* The largest magnitude of a row; not finite if any value is not. */
static float row_largest(const float *x, size_t n)
{
    uint32_t largest = 0; /* magnitudes order like their bits, NaN above infinity */
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    float value;
    memcpy(&value, &largest, sizeof value);
    return value;
}

/* The row's values rounded to int8 under one step, written into the interleaved layout of
 * screen_int8.h. Padding columns keep the value 0 (stored as 128). */
static struct row_moments round_int8(struct sparse_encoder *e, size_t token, const float *x,
                                     float largest)
{
    const size_t n_groups = e->sparse->n_groups;
    uint8_t *values = e->tokens.values + token / INT8_TOKENS * INT8_TOKENS * n_groups * 4 +
                      token % INT8_TOKENS * 4;
    /* Outside this range all rounds to 0 and the rest is the row: everything is a candidate. */
    const bool is_extreme = !(largest > 1e-30f && largest < 1e30f);
    const float step = is_extreme ? 0 : largest / 127, inverse = is_extreme ? 0 : 127 / largest;
    double sums[3] = {0, 0, 0};
    e->kernels->quantise(x, e->sparse->n_in, step, inverse, e->q, sums);
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t four;
        memcpy(&four, e->q + 4 * g, sizeof four);
        four ^= 0x80808080u; /* value + 128, unsigned */
        memcpy(values + g * INT8_TOKENS * 4, &four, sizeof four);
    }
    e->tokens.step[token] = step;
    return (struct row_moments){sqrt(sums[0]), sqrt(sums[1]), sqrt(sums[2])};
}

/* As round_int8(), of the centred row; the norm returned bounds |x| + |centre|. */
static struct row_moments prepare_int8(struct sparse_encoder *e, size_t token, const float *x,
                                       float largest)
{
    if (!e->centre) return round_int8(e, token, x, largest);
    const size_t n_in = e->sparse->n_in;
    for (size_t i = 0; i < n_in; i++) e->centred[i] = x[i] - e->centre[i];
    struct row_moments m = round_int8(e, token, e->centred, row_largest(e->centred, n_in));
    m.norm += 2 * e->centre_norm; /* |x| <= |x - centre| + |centre| */
    return m;
}

static struct row_moments round_bf16(struct sparse_encoder *e, size_t token, const float *x)
{
    const size_t n_in = e->sparse->n_in;
    uint16_t *hi = e->x_hi + token * n_in;
    double square = 0, residual = 0, rounded = 0;
    e->kernels->split_bf16(x, n_in, hi, NULL);
    for (size_t i = 0; i < n_in; i++) {
        const uint32_t bits = (uint32_t)hi[i] << 16;
        float back;
        memcpy(&back, &bits, sizeof back);
        const double rest = (double)x[i] - (double)back;
        square += (double)x[i] * (double)x[i];
        residual += rest * rest;
        rounded += (double)back * (double)back;
    }
    return (struct row_moments){sqrt(square), sqrt(residual), sqrt(rounded)};
}

static struct row_moments plain_norm(const float *x, size_t n)
{
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
    return (struct row_moments){sqrt(square), 0, 0};
}

status_t sparse_prepare(struct sparse_encoder *e, const float *x, size_t first, size_t n_tokens,
                        struct error *err)
{
    const struct sparse *s = e->sparse;
    for (size_t t = 0; t < n_tokens; t++) {
        float *row = e->x + t * s->n_row;
        memcpy(row, x + (first + t) * s->n_in, s->n_in * sizeof *row);
        const float largest = row_largest(row, s->n_in);
        if (!isfinite(largest))
            return error_set(err, ST_BAD_INPUT, "activation of token %zu is not finite", first + t);
        struct row_moments m;
        if (e->screen == SCREEN_INT8)
            m = prepare_int8(e, t, row, largest);
        else if (e->screen == SCREEN_BF16)
            m = round_bf16(e, t, row);
        else
            m = plain_norm(row, s->n_in);
        e->tokens.residual[t] =
            ((float)m.residual + (float)m.norm * s->rounding) * NORM_ROUND_UP + 1e-30f;
        e->tokens.norm[t] = (float)m.rounded_norm * NORM_ROUND_UP + 1e-30f;
        e->tokens.floor[t] = 0;
    }
    return ST_OK;
}
