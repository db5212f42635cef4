/* Adjoints against central differences of the forward formulas in double, on every instruction set
 * of this machine and at shapes that no vector width divides. The same against torch's autograd,
 * through whole models: test_attribute_task.c. */
#include "kernels/cpu/vector.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 3, MOST_INPUTS = 4096 };
static const size_t WIDTHS[] = {1, 31, 64, 257};
enum { N_WIDTHS = sizeof WIDTHS / sizeof WIDTHS[0] };

static uint64_t random_state = 11;

static float *random_floats(size_t n, float scale)
{
    float *values = malloc(n * sizeof *values);
    cr_assert(values);
    for (size_t i = 0; i < n; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        const double unit = (double)(random_state >> 40) / (double)(1 << 24);
        values[i] = (float)((unit * 2 - 1) * (double)scale);
    }
    return values;
}

static void on_every_isa(void (*check)(const struct vector_kernels *kernels))
{
    for (unsigned isa = 0; isa < CPU_ISA_N; isa++)
        if (cpu_isa_detect((enum cpu_isa)isa) == (enum cpu_isa)isa)
            check(vector_kernels_of((enum cpu_isa)isa));
}

/* The number whose slopes are asked for, of inputs x [n]. */
typedef double loss_fn(const void *context, const double *x);

/* got [n] are its slopes at x [n], to `tolerance` of the largest. */
static void expect_slopes(loss_fn *loss, const void *context, const float *x, const float *got,
                          size_t n, double tolerance, const char *what)
{
    static double at[MOST_INPUTS], want[MOST_INPUTS];
    const double step = 1e-5;
    double largest = 0;
    cr_assert(n <= MOST_INPUTS);
    for (size_t i = 0; i < n; i++) at[i] = (double)x[i];
    for (size_t i = 0; i < n; i++) {
        at[i] = (double)x[i] + step;
        const double above = loss(context, at);
        at[i] = (double)x[i] - step;
        want[i] = (above - loss(context, at)) / (2 * step);
        at[i] = (double)x[i];
        largest = fmax(largest, fabs(want[i]));
    }
    for (size_t i = 0; i < n; i++)
        cr_assert(fabs((double)got[i] - want[i]) <= tolerance * fmax(largest, 1e-3),
                  "%s, input %zu of %zu: %.9g, not %.9g", what, i, n, (double)got[i], want[i]);
}

/* --- norms --------------------------------------------------------------------------------- */

static double norm_loss(const void *context, const double *x)
{
    const struct norm_backward_params *p = context;
    const size_t d = p->forward.d;
    double total = 0;
    for (size_t r = 0; r < p->forward.n_rows; r++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < d && p->forward.kind == NORM_LAYER; i++) mean += x[r * d + i];
        mean /= (double)d;
        for (size_t i = 0; i < d; i++) square += pow(x[r * d + i] - mean, 2);
        const double factor = 1 / sqrt(square / (double)d + (double)p->forward.eps);
        for (size_t i = 0; i < d; i++)
            total += (x[r * d + i] - mean) * factor *
                     (p->forward.weight ? (double)p->forward.weight[i] : 1) *
                     (double)p->d_y[r * d + i];
    }
    return total;
}

static void check_norm(const struct vector_kernels *k, enum norm_kind kind, size_t d,
                       bool has_weight)
{
    float *x = random_floats(N_ROWS * d, 3), *w = random_floats(d, 1),
          *d_y = random_floats(N_ROWS * d, 1), *d_x = random_floats(N_ROWS * d, 1);
    for (size_t i = 0; i < d; i++) x[i] += 5; /* a mean to be taken out */
    struct norm_backward_params p = {.forward = {.kind = kind,
                                                 .x = x,
                                                 .weight = has_weight ? w : NULL,
                                                 .eps = 1,
                                                 .n_rows = N_ROWS,
                                                 .d = d},
                                     .d_y = d_y,
                                     .d_x = d_x};
    k->norm_backward(&p);
    expect_slopes(norm_loss, &p, x, d_x, N_ROWS * d, 3e-6, k->name);
    p.d_x = d_y; /* in place */
    k->norm_backward(&p);
    cr_expect_arr_eq(d_y, d_x, N_ROWS * d * sizeof *d_x);
    free(x);
    free(w);
    free(d_y);
    free(d_x);
}

static void check_norms(const struct vector_kernels *k)
{
    for (size_t i = 0; i < N_WIDTHS; i++) {
        check_norm(k, NORM_LAYER, WIDTHS[i], true);
        check_norm(k, NORM_LAYER, WIDTHS[i], false);
        check_norm(k, NORM_RMS, WIDTHS[i], true);
    }
}

Test(kernels_backward, norms_have_the_slopes_of_their_formulas)
{
    on_every_isa(check_norms);
}

/* --- nonlinearities ------------------------------------------------------------------------ */

static double activation(enum activation kind, double x)
{
    if (kind == ACTIVATION_GELU_TANH)
        return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    if (kind == ACTIVATION_GELU_ERF) return x / 2 * erfc(-x / sqrt(2));
    if (kind == ACTIVATION_SILU) return x / (1 + exp(-x));
    return x > 0 ? x : 0;
}

/* Rows of [pre | up], d each. */
static double activate_loss(const void *context, const double *x)
{
    const struct activate_backward_params *p = context;
    const struct activate_params *f = &p->forward;
    double total = 0;
    for (size_t r = 0; r < f->n_rows; r++) {
        const double *row = x + r * f->ld_pre;
        for (size_t i = 0; i < f->d; i++) {
            const double y = activation(f->kind, row[i] + (f->bias ? (double)f->bias[i] : 0));
            const double up = row[f->d + i] + (f->up_bias ? (double)f->up_bias[i] : 0);
            total += y * (f->up ? up : 1) * (double)p->d_out[r * p->ld_d_out + i];
        }
    }
    return total;
}

static void check_activation(const struct vector_kernels *k, enum activation kind, size_t d,
                             bool is_gated)
{
    const size_t n = N_ROWS * 2 * d;
    float *x = random_floats(n, 4), *bias = random_floats(2 * d, 1),
          *d_out = random_floats(N_ROWS * (d + 3), 1), *got = calloc(n, sizeof *got);
    x[0] = -bias[0]; /* where gelu(x) / x is 0 / 0 */
    if (kind == ACTIVATION_RELU) x[0] += 0.25f;
    const struct activate_backward_params p = {.forward = {.kind = kind,
                                                           .pre = x,
                                                           .bias = bias,
                                                           .up = is_gated ? x + d : NULL,
                                                           .up_bias = is_gated ? bias + d : NULL,
                                                           .n_rows = N_ROWS,
                                                           .d = d,
                                                           .ld_pre = 2 * d},
                                               .d_out = d_out,
                                               .d_pre = got,
                                               .d_up = is_gated ? got + d : NULL,
                                               .ld_d_out = d + 3,
                                               .ld_d = 2 * d};
    k->activate_backward(&p);
    expect_slopes(activate_loss, &p, x, got, n, 3e-6, k->name);
    free(x);
    free(bias);
    free(d_out);
    free(got);
}

static void check_activations(const struct vector_kernels *k)
{
    for (unsigned kind = 0; kind < ACTIVATION_N; kind++)
        for (size_t i = 0; i < N_WIDTHS; i++) {
            check_activation(k, (enum activation)kind, WIDTHS[i], false);
            check_activation(k, (enum activation)kind, WIDTHS[i], true);
        }
}

Test(kernels_backward, nonlinearities_have_the_slopes_of_their_formulas)
{
    on_every_isa(check_activations);
}

/* --- attention ----------------------------------------------------------------------------- */

static double head_loss(const struct attend_backward_params *p, const double *x, size_t sequence,
                        size_t head)
{
    const struct attend_params *f = &p->forward;
    const size_t d = f->d_head, d_q = f->n_heads * d, first = sequence * f->n_ctx,
                 kv = head / (f->n_heads / f->n_kv_heads);
    const double *q = x + first * f->ld + head * d, *k = x + first * f->ld + d_q + kv * d,
                 *v = k + f->n_kv_heads * d;
    double total = 0, weights[16];
    for (size_t i = 0; i < f->lengths[sequence]; i++) {
        const size_t low = f->window && i >= f->window ? i + 1 - f->window : 0;
        const double cap = (double)f->soft_cap;
        double sum = 0;
        for (size_t t = low; t <= i; t++) {
            double score = 0;
            for (size_t j = 0; j < d; j++) score += q[i * f->ld + j] * k[t * f->ld + j];
            score *= (double)f->scale;
            weights[t] = exp(cap > 0 ? cap * tanh(score / cap) : score);
            sum += weights[t];
        }
        for (size_t t = low; t <= i; t++)
            for (size_t j = 0; j < d; j++)
                total += weights[t] / sum * v[t * f->ld + j] *
                         (double)p->d_z[(first + i) * d_q + head * d + j];
    }
    return total;
}

static double attend_loss(const void *context, const double *x)
{
    const struct attend_backward_params *p = context;
    double total = 0;
    for (size_t s = 0; s < p->forward.n_sequences; s++)
        for (size_t h = 0; h < p->forward.n_heads; h++) total += head_loss(p, x, s, h);
    return total;
}

static void check_attention(const struct vector_kernels *k, size_t n_heads, size_t n_kv_heads,
                            size_t d, size_t window, float soft_cap)
{
    const uint32_t lengths[] = {7, 3};
    const size_t n_ctx = 7, ld = (n_heads + 2 * n_kv_heads) * d, n = 2 * n_ctx * ld;
    float *x = random_floats(n, 1), *d_z = random_floats(2 * n_ctx * n_heads * d, 1),
          *got = random_floats(n, 1),
          *scratch = random_floats(attend_backward_scratch_floats(n_ctx), 1);
    const struct attend_backward_params p = {.forward = {.q = x,
                                                         .k = x + n_heads * d,
                                                         .v = x + (n_heads + n_kv_heads) * d,
                                                         .lengths = lengths,
                                                         .n_sequences = 2,
                                                         .n_ctx = n_ctx,
                                                         .n_heads = n_heads,
                                                         .n_kv_heads = n_kv_heads,
                                                         .d_head = d,
                                                         .ld = ld,
                                                         .window = window,
                                                         .scale = 0.7f,
                                                         .soft_cap = soft_cap},
                                             .d_z = d_z,
                                             .d_q = got,
                                             .d_k = got + n_heads * d,
                                             .d_v = got + (n_heads + n_kv_heads) * d,
                                             .ld_d = ld};
    k->attend_backward(&p, scratch);
    expect_slopes(attend_loss, &p, x, got, n, 3e-6, k->name);
    free(x);
    free(d_z);
    free(got);
    free(scratch);
}

static void check_attentions(const struct vector_kernels *k)
{
    check_attention(k, 2, 2, 5, 0, 0);
    check_attention(k, 4, 2, 8, 0, 0);
    check_attention(k, 3, 1, 17, 0, 0);
    check_attention(k, 2, 1, 5, 3, 0);
    check_attention(k, 2, 2, 8, 0, 1.5f);
    check_attention(k, 4, 2, 17, 1, 0.5f);
}

Test(kernels_backward, attention_has_the_slopes_of_its_formula_and_none_for_padding)
{
    on_every_isa(check_attentions);
}

/* --- rows ---------------------------------------------------------------------------------- */

static void check_rows(const struct vector_kernels *k)
{
    enum { N_A = 6, N_B = 9, TERMS = 3, D = 600, LD = TERMS * D + 5 };
    float *a = random_floats(N_A * LD, 1), *b = random_floats(N_B * LD, 1), dots[TERMS * 4];
    double out[N_A * (N_B + 1)] = {0};
    for (size_t i = 0; i < N_A * (N_B + 1); i++) out[i] = 1;
    k->contract(&(struct contract_params){a, b, out, N_A, N_B, TERMS, D, LD, LD, N_B + 1});
    for (size_t i = 0; i < N_A; i++) {
        for (size_t j = 0; j < N_B; j++) {
            double want = 1;
            for (size_t t = 0; t < TERMS * D; t++)
                want += (double)a[i * LD + t] * (double)b[j * LD + t];
            cr_assert(fabs(out[i * (N_B + 1) + j] - want) < 1e-4, "%s: %zu, %zu", k->name, i, j);
        }
        cr_assert_eq(out[i * (N_B + 1) + N_B], 1, "a column that is not ours");
    }
    k->group_dots(&(struct group_dots_params){a, b, dots, TERMS, 4, 31, LD, 130});
    for (size_t r = 0; r < TERMS; r++)
        for (size_t g = 0; g < 4; g++) {
            double want = 0;
            for (size_t i = 31 * g; i < 31 * (g + 1); i++)
                want += (double)a[r * LD + i] * (double)b[r * 130 + i];
            cr_assert(fabs((double)dots[r * 4 + g] - want) < 1e-5, "%s", k->name);
        }
    const float was = a[7];
    k->blend(&(struct blend_params){a, b, a, -0.5f, LD});
    cr_assert_float_eq(a[7], was - 0.5f * b[7], 1e-7);
    free(a);
    free(b);
}

Test(kernels_backward, rows_meet_rows)
{
    on_every_isa(check_rows);
}
