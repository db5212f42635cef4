/* Adjoints of norms and nonlinearities, and what attribution does with them row by row (part of
 * vector_body.h). */

/* Sum of a[i] (b[i] - shift), in four vectors of partial sums. */
static inline float dot(const float *a, const float *b, float shift, size_t n)
{
    vec sums[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;
    for (; i + 4 * VEC_WIDTH <= n; i += 4 * VEC_WIDTH) {
        for (size_t j = 0; j < 4; j++) {
            const size_t at = i + j * VEC_WIDTH;
            sums[j] = vec_madd(vec_load(a + at), vec_load(b + at) - shift, sums[j]);
        }
    }
    float rest = 0.0f;
    for (; i < n; i++) rest += a[i] * (b[i] - shift);
    return vec_sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

/* With h = (x - mean) f, f = 1 / sqrt(var + eps), g = d_y weight:
 * d_x = f (g - mean(g) - h mean(g h)), without mean(g) where no mean was taken out. */
static void norm_backward(const struct norm_backward_params *p)
{
    const struct norm_params *f = &p->forward;
    const float n = (float)f->d;
    for (size_t r = 0; r < f->n_rows; r++) {
        const float *x = f->x + r * f->d, *d_y = p->d_y + r * f->d;
        float *d_x = p->d_x + r * f->d;
        const float mean = f->kind == NORM_LAYER ? row_moment(x, f->d, 0.0f, false) / n : 0.0f;
        const float factor = 1.0f / __builtin_sqrtf(row_moment(x, f->d, mean, true) / n + f->eps);
        for (size_t i = 0; i < f->d; i++) d_x[i] = f->weight ? d_y[i] * f->weight[i] : d_y[i];
        const float g_mean = row_moment(d_x, f->d, 0.0f, false) / n;
        const float along = factor * (dot(d_x, x, mean, f->d) / n);
        const float shift = f->kind == NORM_LAYER ? g_mean : 0.0f;
        for (size_t i = 0; i < f->d; i++)
            d_x[i] = factor * (d_x[i] - shift - (x[i] - mean) * factor * along);
    }
}

/* --- nonlinearities ------------------------------------------------------------------------ */

static inline vec gelu_tanh_slope(vec x)
{
    /* y = x s, s = 1 / (1 + exp(-2u)) */
    const vec square = x * x;
    const vec u = x * vec_madd(square, vec_set(0.044715f), vec_set(1.0f)) * 0.7978845608f;
    const vec du = vec_madd(square, vec_set(3 * 0.044715f), vec_set(1.0f)) * 0.7978845608f;
    const vec s = 1.0f / (vec_exp(-2.0f * u) + 1.0f);
    return s + 2.0f * x * s * (1.0f - s) * du;
}

/* Phi(x) + x phi(x) */
static inline vec gelu_erf_slope(vec x)
{
    const vec_bits is_small = (vec_bits)(x * x < 1e-6f); /* gelu(x) / x is 0 / 0 at 0 */
    const vec apart = vec_select(is_small, vec_set(1e-3f), x);
    const vec half = vec_set(0.5f) + x * 0.3989422804f;
    const vec cumulated = vec_select(is_small, half, gelu_erf(apart) / apart);
    return vec_madd(x * 0.3989422804f, vec_exp(-0.5f * x * x), cumulated);
}

static inline vec silu_slope(vec x)
{
    const vec s = 1.0f / (vec_exp(-x) + 1.0f);
    return s + x * s * (1.0f - s);
}

static inline vec slope_of(enum activation kind, vec x)
{
    if (kind == ACTIVATION_GELU_TANH) return gelu_tanh_slope(x);
    if (kind == ACTIVATION_GELU_ERF) return gelu_erf_slope(x);
    if (kind == ACTIVATION_SILU) return silu_slope(x);
    return vec_select((vec_bits)(x > 0.0f), vec_set(1.0f), vec_set(0.0f));
}

/* One stretch of n <= VEC_WIDTH values: column i of row r. */
static inline void slope_stretch(const struct activate_backward_params *p, size_t r, size_t i,
                                 size_t n)
{
    const struct activate_params *f = &p->forward;
    const vec zero = {0};
    const vec d_out = vec_load_part(p->d_out + r * p->ld_d_out + i, n);
    vec x = vec_load_part(f->pre + r * f->ld_pre + i, n), d_pre;
    x += f->bias ? vec_load_part(f->bias + i, n) : zero;
    d_pre = d_out * slope_of(f->kind, x);
    if (f->up) {
        const vec up = vec_load_part(f->up + r * f->ld_pre + i, n) +
                       (f->up_bias ? vec_load_part(f->up_bias + i, n) : zero);
        vec_store_part(p->d_up + r * p->ld_d + i, d_out * activation_of(f->kind, x), n);
        d_pre *= up;
    }
    vec_store_part(p->d_pre + r * p->ld_d + i, d_pre, n);
}

static void activate_backward(const struct activate_backward_params *p)
{
    const size_t d = p->forward.d, whole = d / VEC_WIDTH * VEC_WIDTH;
    for (size_t r = 0; r < p->forward.n_rows; r++) {
        for (size_t i = 0; i < whole; i += VEC_WIDTH) slope_stretch(p, r, i, VEC_WIDTH);
        if (whole < d) slope_stretch(p, r, whole, d - whole);
    }
}

/* --- rows ---------------------------------------------------------------------------------- */

static void blend(const struct blend_params *p)
{
    for (size_t i = 0; i < p->n; i++) p->out[i] = p->a[i] + p->factor * p->b[i];
}

static void group_dots(const struct group_dots_params *p)
{
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t g = 0; g < p->n_groups; g++)
            p->out[r * p->n_groups + g] =
                dot(p->a + r * p->ld_a + g * p->d, p->b + r * p->ld_b + g * p->d, 0.0f, p->d);
    }
}
