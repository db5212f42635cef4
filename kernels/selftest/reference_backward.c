#include "kernels/selftest/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The adjoint of y_i = w_i (x_i - m) / s: sum over i of d_y_i times the derivative of y_i by x_j,
 * which is w_i ([i = j] - 1/n) / s - w_i (x_i - m)(x_j - m) / (n s^3); without 1/n for RMS. */
status_t reference_norm_backward(struct exec *exec, const struct norm_backward_params *p,
                                 struct error *err)
{
    (void)exec;
    (void)err;
    const struct norm_params *f = &p->forward;
    const double n = (double)f->d;
    for (size_t r = 0; r < f->n_rows; r++) {
        const float *x = f->x + r * f->d, *d_y = p->d_y + r * f->d;
        double mean = 0, squares = 0, sum = 0, along = 0;
        for (size_t i = 0; f->kind == NORM_LAYER && i < f->d; i++) mean += (double)x[i] / n;
        for (size_t i = 0; i < f->d; i++)
            squares += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
        const double s = sqrt(squares + (double)f->eps);
        for (size_t i = 0; i < f->d; i++) {
            const double g = (double)d_y[i] * (f->weight ? (double)f->weight[i] : 1);
            sum += g;
            along += g * ((double)x[i] - mean);
        }
        for (size_t j = 0; j < f->d; j++) {
            const double g = (double)d_y[j] * (f->weight ? (double)f->weight[j] : 1);
            const double centred = g - (f->kind == NORM_LAYER ? sum / n : 0);
            p->d_x[r * f->d + j] =
                (float)(centred / s - ((double)x[j] - mean) * along / (n * s * s * s));
        }
    }
    return ST_OK;
}

status_t reference_activate_backward(struct exec *exec, const struct activate_backward_params *p,
                                     struct error *err)
{
    (void)exec;
    (void)err;
    const struct activate_params *f = &p->forward;
    for (size_t r = 0; r < f->n_rows; r++) {
        for (size_t i = 0; i < f->d; i++) {
            const double x = (double)f->pre[r * f->ld_pre + i] + (f->bias ? (double)f->bias[i] : 0);
            const double d_out = (double)p->d_out[r * p->ld_d_out + i];
            double up = 1;
            if (f->up)
                up = (double)f->up[r * f->ld_pre + i] + (f->up_bias ? (double)f->up_bias[i] : 0);
            p->d_pre[r * p->ld_d + i] =
                (float)(d_out * up * reference_activation_slope(f->kind, x));
            if (f->up) p->d_up[r * p->ld_d + i] = (float)(d_out * reference_activation(f->kind, x));
        }
    }
    return ST_OK;
}

/* Gradients in double until all heads have added to the keys and values that they share. */
struct attention_gradient {
    double *q, *k, *v;        /* q: [d_q], k, v: [n_ctx, d_kv] */
    double *weights, *slopes; /* [n_ctx] */
};

static void back_query(const struct attend_backward_params *p, size_t sequence, size_t head,
                       size_t query, const struct attention_gradient *g)
{
    const struct attend_params *f = &p->forward;
    const size_t d = f->d_head, kv = head / (f->n_heads / f->n_kv_heads), row = sequence * f->n_ctx;
    const size_t d_kv = f->n_kv_heads * d;
    const float *d_z = p->d_z + ((row + query) * f->n_heads + head) * d;
    const float *q = f->q + (row + query) * f->ld + head * d;
    double mean = 0;
    reference_attention_row(f, sequence, head, query, g->weights, g->slopes);
    for (int pass = 0; pass < 2; pass++) { /* first the mean of d_weight, then the derivatives */
        for (size_t key = 0; key <= query; key++) {
            const float *k = f->k + (row + key) * f->ld + kv * d;
            const float *v = f->v + (row + key) * f->ld + kv * d;
            double d_weight = 0;
            for (size_t i = 0; i < d; i++) d_weight += (double)d_z[i] * (double)v[i];
            if (pass == 0) mean += g->weights[key] * d_weight;
            const double d_score =
                g->weights[key] * (d_weight - mean) * g->slopes[key] * (double)f->scale;
            for (size_t i = 0; pass == 1 && i < d; i++) {
                g->q[head * d + i] += d_score * (double)k[i];
                g->k[key * d_kv + kv * d + i] += d_score * (double)q[i];
                g->v[key * d_kv + kv * d + i] += g->weights[key] * (double)d_z[i];
            }
        }
    }
}

static void store(float *to, size_t ld, const double *from, size_t n_rows, size_t width)
{
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t i = 0; i < width; i++) to[r * ld + i] = (float)from[r * width + i];
    }
}

static void back_sequence(const struct attend_backward_params *p, size_t sequence,
                          const struct attention_gradient *g)
{
    const struct attend_params *f = &p->forward;
    const size_t d_q = f->n_heads * f->d_head, d_kv = f->n_kv_heads * f->d_head;
    const size_t row = sequence * f->n_ctx;
    memset(g->k, 0, f->n_ctx * d_kv * sizeof *g->k);
    memset(g->v, 0, f->n_ctx * d_kv * sizeof *g->v);
    for (size_t query = 0; query < f->n_ctx; query++) {
        memset(g->q, 0, d_q * sizeof *g->q);
        for (size_t h = 0; h < f->n_heads && query < f->lengths[sequence]; h++)
            back_query(p, sequence, h, query, g);
        store(p->d_q + (row + query) * p->ld_d, p->ld_d, g->q, 1, d_q);
    }
    store(p->d_k + row * p->ld_d, p->ld_d, g->k, f->n_ctx, d_kv);
    store(p->d_v + row * p->ld_d, p->ld_d, g->v, f->n_ctx, d_kv);
}

status_t reference_attend_backward(struct exec *exec, const struct attend_backward_params *p,
                                   struct error *err)
{
    (void)exec;
    const struct attend_params *f = &p->forward;
    const size_t n_kv = f->n_ctx * f->n_kv_heads * f->d_head, n_q = f->n_heads * f->d_head;
    double *all = calloc(2 * n_kv + n_q + 2 * f->n_ctx, sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "context of %zu", f->n_ctx);
    const struct attention_gradient g = {.k = all,
                                         .v = all + n_kv,
                                         .q = all + 2 * n_kv,
                                         .weights = all + 2 * n_kv + n_q,
                                         .slopes = all + 2 * n_kv + n_q + f->n_ctx};
    for (size_t s = 0; s < f->n_sequences; s++) back_sequence(p, s, &g);
    free(all);
    return ST_OK;
}

status_t reference_blend(struct exec *exec, const struct blend_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t i = 0; i < p->n; i++)
        p->out[i] = (float)((double)p->a[i] + (double)p->factor * (double)p->b[i]);
    return ST_OK;
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

status_t reference_group_dots(struct exec *exec, const struct group_dots_params *p,
                              struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t g = 0; g < p->n_groups; g++)
            p->out[r * p->n_groups + g] =
                (float)dot(p->a + r * p->ld_a + g * p->d, p->b + r * p->ld_b + g * p->d, p->d);
    }
    return ST_OK;
}

status_t reference_contract(struct exec *exec, const struct contract_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t i = 0; i < p->n_a; i++) {
        for (size_t j = 0; j < p->n_b; j++)
            p->out[i * p->ld_out + j] +=
                dot(p->a + i * p->ld_a, p->b + j * p->ld_b, p->n_terms * p->d);
    }
    return ST_OK;
}
