#include "kernels/cpu/sparse_encoder.h"

#include <math.h>
#include <string.h>

enum { ESCALATION_TOKENS = 2048 };

/* Share of pairs that a screen lets through in vain above which the next screen (slower, tighter)
 * is taken, judged over at least this many tokens. Dense f32 costs about 3 times an f32 product
 * here, int8 a quarter and bf16 half of one. The result does not depend on it. */
static const struct {
    enum screen screen;
    double most_in_vain;
} ESCALATION[] = {{SCREEN_INT8, 0.12}, {SCREEN_BF16, 0.25}};
static const double DENSE_SHARE = 0.7; /* of candidates, from which no product pays */
/* Before int8 is given up, and already at this share, the mean of the activations is taken out:
 * real residual streams have a few columns that are large on every token. */
static const double CENTRE_SHARE = 0.015;

static double row_norm(const float *x, size_t n)
{
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
    return sqrt(square);
}

/* Mean of the block's rows, those of outlying norm left out. */
static void mean_row(const struct sparse_encoder *e, size_t n_tokens, float *out)
{
    const struct sparse *s = e->sparse;
    double total = 0;
    size_t n_kept = 0;
    for (size_t t = 0; t < n_tokens; t++) total += (double)e->tokens.norm[t];
    memset(out, 0, s->n_in * sizeof *out);
    for (size_t t = 0; t < n_tokens; t++) {
        if ((double)e->tokens.norm[t] * (double)n_tokens > 4 * total) continue;
        for (size_t i = 0; i < s->n_in; i++) out[i] += e->x[t * s->n_row + i];
        n_kept++;
    }
    for (size_t i = 0; i < s->n_in && n_kept; i++) {
        out[i] /= (float)n_kept;
        if (!isfinite(out[i])) out[i] = 0;
    }
}

/* offset[f] + centre W_f, rounded up. */
static void shift_offsets(struct sparse_encoder *e)
{
    const struct sparse *s = e->sparse;
    for (size_t f = 0; f < s->n_padded; f++) {
        e->offset[f] = s->int8.offset[f];
        if (f >= s->n_features) continue;
        double sum = 0;
        for (size_t i = 0; i < s->n_in; i++)
            sum += (double)e->centre[i] * (double)s->rows[f * s->n_row + i];
        sum *= s->scale ? (double)s->scale[f] : 1;
        e->offset[f] += (float)(sum + fabs(sum) * 1e-6) + fabsf(e->offset[f]) * 1e-6f;
    }
}

/* Take the mean of the last block out of what int8 rounds. */
static status_t centre_int8(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    status_t status = sparse_array_f32(e->sparse->n_in, &e->centre, err);
    if (status == ST_OK) status = sparse_array_f32(e->sparse->n_in, &e->centred, err);
    if (status == ST_OK) status = sparse_array_f32(e->sparse->n_padded, &e->offset, err);
    if (status != ST_OK) return status;
    mean_row(e, n_tokens, e->centre);
    e->centre_norm = row_norm(e->centre, e->sparse->n_in);
    shift_offsets(e);
    return ST_OK;
}

/* AUTO: centre, or take the next screen, if this one lets too much through. n_tokens: of the
 * block just done. */
status_t sparse_judge(struct sparse_encoder *e, size_t n_tokens, struct error *err)
{
    if (e->wanted != SCREEN_AUTO || e->window_tokens < ESCALATION_TOKENS) return ST_OK;
    const double n_pairs = (double)e->window_tokens * (double)e->sparse->n_features;
    const double share = (double)e->window_candidates / n_pairs;
    const double fired = (double)e->window_fired / n_pairs, in_vain = share - fired;
    e->window_tokens = e->window_candidates = e->window_fired = 0;
    if (fired > DENSE_SHARE || (e->screen == SCREEN_F32 && share > DENSE_SHARE)) {
        e->screen = SCREEN_NONE;
        return ST_OK;
    }
    if (e->screen == SCREEN_INT8 && !e->centre && in_vain > CENTRE_SHARE)
        return centre_int8(e, n_tokens, err);
    for (size_t i = 0; i < sizeof ESCALATION / sizeof ESCALATION[0]; i++) {
        if (e->screen != ESCALATION[i].screen || in_vain <= ESCALATION[i].most_in_vain) continue;
        e->screen = (enum screen)(e->screen + 1);
        break;
    }
    return ST_OK;
}
