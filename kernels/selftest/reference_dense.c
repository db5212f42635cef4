#include "kernels/selftest/reference.h"

#include <math.h>
#include <stdlib.h>

status_t reference_embed(struct exec *exec, const struct embed_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t i = 0; i < p->d_model; i++) {
            double value = 0;
            if (p->token_table) value += (double)p->token_table[p->tokens[r] * p->d_model + i];
            if (p->position_table)
                value += (double)p->position_table[r % p->n_ctx * p->d_model + i];
            p->out[r * p->d_model + i] = (float)value;
        }
    }
    return ST_OK;
}

status_t reference_norm(struct exec *exec, const struct norm_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    const double n = (double)p->d;
    for (size_t r = 0; r < p->n_rows; r++) {
        const float *x = p->x + r * p->d;
        double mean = 0, squares = 0;
        for (size_t i = 0; p->kind == NORM_LAYER && i < p->d; i++) mean += (double)x[i] / n;
        for (size_t i = 0; i < p->d; i++)
            squares += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
        const double divisor = sqrt(squares + (double)p->eps);
        for (size_t i = 0; i < p->d; i++) {
            double value = ((double)x[i] - mean) / divisor;
            if (p->weight) value *= (double)p->weight[i];
            if (p->bias) value += (double)p->bias[i];
            p->y[r * p->d + i] = (float)value;
        }
    }
    return ST_OK;
}

status_t reference_add(struct exec *exec, const struct add_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t i = 0; i < p->d; i++) {
            double sum = (double)p->a[r * p->ld_a + i];
            if (p->b) sum += (double)p->b[r * p->d + i];
            if (p->bias) sum += (double)p->bias[i];
            p->out[r * p->ld_out + i] = (float)sum;
        }
    }
    return ST_OK;
}

static const double ROOT_2 = 1.4142135623730951, ROOT_2_BY_PI = 0.7978845608028654;

static double gelu_argument(double x)
{
    return ROOT_2_BY_PI * (x + 0.044715 * x * x * x);
}

double reference_activation(enum activation kind, double x)
{
    switch (kind) {
    case ACTIVATION_GELU_TANH: return x / (1 + exp(-2 * gelu_argument(x)));
    case ACTIVATION_GELU_ERF: return x * 0.5 * (1 + erf(x / ROOT_2));
    case ACTIVATION_SILU: return x / (1 + exp(-x));
    case ACTIVATION_RELU: return x > 0 ? x : 0;
    case ACTIVATION_N: break;
    }
    return NAN;
}

double reference_activation_slope(enum activation kind, double x)
{
    const double gelu_gate = 1 / (1 + exp(-2 * gelu_argument(x))), gate = 1 / (1 + exp(-x));
    switch (kind) {
    case ACTIVATION_GELU_TANH:
        return gelu_gate +
               2 * x * gelu_gate * (1 - gelu_gate) * ROOT_2_BY_PI * (1 + 3 * 0.044715 * x * x);
    case ACTIVATION_GELU_ERF:
        return 0.5 * (1 + erf(x / ROOT_2)) + x * exp(-x * x / 2) * ROOT_2_BY_PI / 2;
    case ACTIVATION_SILU: return gate + x * gate * (1 - gate);
    case ACTIVATION_RELU: return x > 0 ? 1 : 0;
    case ACTIVATION_N: break;
    }
    return NAN;
}

status_t reference_activate(struct exec *exec, const struct activate_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t i = 0; i < p->d; i++) {
            const double x = (double)p->pre[r * p->ld_pre + i] + (p->bias ? (double)p->bias[i] : 0);
            double y = reference_activation(p->kind, x);
            if (p->up)
                y *= (double)p->up[r * p->ld_pre + i] + (p->up_bias ? (double)p->up_bias[i] : 0);
            p->out[r * p->ld_out + i] = (float)y;
        }
    }
    return ST_OK;
}

status_t reference_rotate(struct exec *exec, const struct rotate_params *p, struct error *err)
{
    (void)exec;
    (void)err;
    const size_t half = p->d_head / 2;
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t at = 0; at < p->n_heads * half; at++) {
            const size_t i = at % half, place = r % p->n_ctx * half + i;
            float *head = p->x + r * p->ld + at / half * p->d_head;
            float *low = head + (p->is_interleaved ? 2 * i : i);
            float *high = low + (p->is_interleaved ? 1 : half);
            const double a = (double)*low, b = (double)*high;
            const double c = (double)p->cos[place], s = (double)p->sin[place];
            *low = (float)(a * c - b * s);
            *high = (float)(b * c + a * s);
        }
    }
    return ST_OK;
}

void reference_attention_row(const struct attend_params *p, size_t sequence, size_t head,
                             size_t query, double *weights, double *slopes)
{
    const size_t kv = head / (p->n_heads / p->n_kv_heads), row = sequence * p->n_ctx;
    const float *q = p->q + (row + query) * p->ld + head * p->d_head;
    const double cap = (double)p->soft_cap;
    double top = -INFINITY, total = 0;
    for (size_t key = 0; key <= query; key++) {
        const float *k = p->k + (row + key) * p->ld + kv * p->d_head;
        double dot = 0;
        for (size_t i = 0; i < p->d_head; i++) dot += (double)q[i] * (double)k[i];
        const double bent = cap > 0 ? tanh(dot * (double)p->scale / cap) : 0;
        weights[key] = cap > 0 ? cap * bent : dot * (double)p->scale;
        if (slopes) slopes[key] = 1 - bent * bent;
        if (p->window && query - key >= p->window) weights[key] = -INFINITY;
        top = fmax(top, weights[key]);
    }
    for (size_t key = 0; key <= query; key++) total += weights[key] = exp(weights[key] - top);
    for (size_t key = 0; key <= query; key++) weights[key] /= total;
}

static void attend_query(const struct attend_params *p, size_t sequence, size_t head, size_t query,
                         double *weights)
{
    const size_t kv = head / (p->n_heads / p->n_kv_heads), row = sequence * p->n_ctx;
    float *z = p->z + ((row + query) * p->n_heads + head) * p->d_head;
    const bool is_there = query < p->lengths[sequence];
    if (is_there) reference_attention_row(p, sequence, head, query, weights, NULL);
    for (size_t i = 0; i < p->d_head; i++) {
        double sum = 0;
        for (size_t key = 0; is_there && key <= query; key++)
            sum += weights[key] * (double)p->v[(row + key) * p->ld + kv * p->d_head + i];
        z[i] = (float)sum;
    }
}

status_t reference_attend(struct exec *exec, const struct attend_params *p, struct error *err)
{
    (void)exec;
    double *weights = calloc(p->n_ctx, sizeof *weights);
    if (!weights) return error_set(err, ST_NO_MEMORY, "context of %zu", p->n_ctx);
    for (size_t s = 0; s < p->n_sequences; s++) {
        for (size_t h = 0; h < p->n_heads; h++) {
            for (size_t query = 0; query < p->n_ctx; query++) attend_query(p, s, h, query, weights);
        }
    }
    free(weights);
    return ST_OK;
}

status_t reference_head_norms(struct exec *exec, const struct head_norms_params *p,
                              struct error *err)
{
    (void)exec;
    (void)err;
    const size_t d = p->d_head;
    for (size_t at = 0; at < p->n_rows * p->n_heads; at++) {
        const float *z = p->z + at * d, *factor = p->factors + at % p->n_heads * d * d;
        double total = 0;
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t i = 0; i < d; i++) sum += (double)z[i] * (double)factor[i * d + j];
            total += sum * sum;
        }
        p->out[at] = (float)sqrt(total);
    }
    return ST_OK;
}
