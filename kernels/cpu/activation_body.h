/* Elementwise nonlinearities, bias added on the way in (part of vector_body.h). */

static inline vec gelu_tanh(vec x)
{
    /* 0.5 x (1 + tanh u) = x / (1 + exp(-2u)) */
    const vec u = x * vec_madd(x * x, vec_set(0.044715f), vec_set(1.0f)) * 0.7978845608f;
    return x / (vec_exp(-2.0f * u) + 1.0f);
}

/* x Phi(x). Abramowitz and Stegun 7.1.26: erf(z) = 1 - (a1 t + ... + a5 t^5) exp(-z^2),
 * t = 1 / (1 + p z), z >= 0, absolute error below 1.5e-7. */
static inline vec gelu_erf(vec x)
{
    const vec_bits is_negative = (vec_bits)(x < 0.0f);
    const vec z = vec_select(is_negative, -x, x) * 0.70710678f;
    const vec t = 1.0f / vec_madd(z, vec_set(0.3275911f), vec_set(1.0f));
    vec poly = vec_set(1.061405429f);
    poly = vec_madd(poly, t, vec_set(-1.453152027f));
    poly = vec_madd(poly, t, vec_set(1.421413741f));
    poly = vec_madd(poly, t, vec_set(-0.284496736f));
    poly = vec_madd(poly, t, vec_set(0.254829592f));
    const vec tail = 0.5f * poly * t * vec_exp(-z * z); /* 1 - Phi(|x|) */
    return x * vec_select(is_negative, tail, 1.0f - tail);
}

static inline vec silu(vec x)
{
    return x / (vec_exp(-x) + 1.0f);
}

static inline vec activation_of(enum activation kind, vec x)
{
    if (kind == ACTIVATION_GELU_TANH) return gelu_tanh(x);
    if (kind == ACTIVATION_GELU_ERF) return gelu_erf(x);
    if (kind == ACTIVATION_SILU) return silu(x);
    return vec_max(x, vec_set(0.0f));
}

/* One stretch of VEC_WIDTH (or, at the end of a row, fewer) values. */
static inline vec activate_vec(const struct activate_params *p, enum activation kind, vec x,
                               vec bias, vec up, vec up_bias)
{
    const vec y = activation_of(kind, x + bias);
    if (!p->up) return y;
    return y * (up + up_bias);
}

static inline void activate_rows(const struct activate_params *p, enum activation kind)
{
    const vec zero = {0};
    const size_t whole = p->d / VEC_WIDTH * VEC_WIDTH, rest = p->d - whole;
    for (size_t r = 0; r < p->n_rows; r++) {
        const float *pre = p->pre + r * p->ld_pre, *up = p->up ? p->up + r * p->ld_pre : NULL;
        float *out = p->out + r * p->ld_out;
        for (size_t i = 0; i < whole; i += VEC_WIDTH) {
            vec_store(out + i, activate_vec(p, kind, vec_load(pre + i),
                                            p->bias ? vec_load(p->bias + i) : zero,
                                            up ? vec_load(up + i) : zero,
                                            p->up_bias ? vec_load(p->up_bias + i) : zero));
        }
        if (!rest) continue;
        vec_store_part(out + whole,
                       activate_vec(p, kind, vec_load_part(pre + whole, rest),
                                    p->bias ? vec_load_part(p->bias + whole, rest) : zero,
                                    up ? vec_load_part(up + whole, rest) : zero,
                                    p->up_bias ? vec_load_part(p->up_bias + whole, rest) : zero),
                       rest);
    }
}

static void activate(const struct activate_params *p)
{
    switch (p->kind) { /* a constant kind lets the compiler drop the other formulas */
    case ACTIVATION_GELU_TANH: activate_rows(p, ACTIVATION_GELU_TANH); break;
    case ACTIVATION_GELU_ERF: activate_rows(p, ACTIVATION_GELU_ERF); break;
    case ACTIVATION_SILU: activate_rows(p, ACTIVATION_SILU); break;
    case ACTIVATION_RELU:
    case ACTIVATION_N: activate_rows(p, ACTIVATION_RELU); break;
    }
}
