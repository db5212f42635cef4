/* The adjoint of causal attention, one query at a time (part of vector_body.h).
 *
 * Of query i with probabilities p_t over the keys t <= i that it sees:
 *   w_t  = d_z_i . v_t            d_v_t += p_t d_z_i
 *   s_t  = scale p_t (w_t - sum_u p_u w_u) f'_t
 * with f'_t = 1 - (capped score / cap)^2 where scores are capped, else 1.
 *   d_q_i = sum_t s_t k_t         d_k_t += s_t q_i
 * The probabilities are computed again: storing them would cost more than that. Sums over keys run
 * in ascending order, those over queries and heads likewise. */

/* One head of one sequence: pointers to its first row. */
struct attend_adjoint {
    const float *q, *k, *v, *d_z; /* rows ld, ld, ld, ld_z apart */
    float *d_q, *d_k, *d_v;       /* rows ld_d apart */
    float *probabilities, *s;     /* [n_ctx, rounded up] */
    float *slopes;                /* likewise: f' */
    size_t ld, ld_z, ld_d, d_head, window;
    float scale, soft_cap;
};

static inline float short_dot(const float *a, const float *b, size_t n)
{
    vec sum = {0};
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        sum = vec_madd(vec_load(a + i), vec_load(b + i), sum);
    if (i < n) sum = vec_madd(vec_load_part(a + i, n - i), vec_load_part(b + i, n - i), sum);
    return vec_sum(sum);
}

/* to += factor * from */
static inline void accumulate(float *to, const float *from, float factor, size_t n)
{
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(to + i, vec_madd(vec_set(factor), vec_load(from + i), vec_load(to + i)));
    if (i < n)
        vec_store_part(
            to + i,
            vec_madd(vec_set(factor), vec_load_part(from + i, n - i), vec_load_part(to + i, n - i)),
            n - i);
}

/* Probabilities of the keys low .. i, and the slopes of their scores. */
static void weigh_query(const struct attend_adjoint *h, const float *q, size_t low, size_t i)
{
    const float cap = h->soft_cap;
    for (size_t t = low; t <= i; t++)
        h->probabilities[t] = h->scale * short_dot(q, h->k + t * h->ld, h->d_head);
    if (cap > 0.0f) cap_scores(h->probabilities + low, i + 1 - low, cap);
    for (size_t t = low; t <= i; t++) {
        const float share = cap > 0.0f ? h->probabilities[t] / cap : 0.0f;
        h->slopes[t] = 1.0f - share * share;
    }
    softmax_row(h->probabilities + low, i + 1 - low, i + 1 - low);
}

static void attend_backward_query(const struct attend_adjoint *h, size_t i)
{
    const float *q = h->q + i * h->ld, *d_z = h->d_z + i * h->ld_z;
    const size_t low = first_key_of(i, h->window);
    float mean = 0.0f;
    weigh_query(h, q, low, i);
    for (size_t t = low; t <= i; t++) {
        h->s[t] = short_dot(d_z, h->v + t * h->ld, h->d_head);
        mean += h->probabilities[t] * h->s[t];
    }
    for (size_t t = low; t <= i; t++) {
        const float s = h->scale * h->probabilities[t] * (h->s[t] - mean) * h->slopes[t];
        accumulate(h->d_v + t * h->ld_d, d_z, h->probabilities[t], h->d_head);
        accumulate(h->d_q + i * h->ld_d, h->k + t * h->ld, s, h->d_head);
        accumulate(h->d_k + t * h->ld_d, q, s, h->d_head);
    }
}

static void clear_columns(float *rows, size_t n_rows, size_t width, size_t ld)
{
    for (size_t r = 0; r < n_rows; r++) memset(rows + r * ld, 0, width * sizeof *rows);
}

static void attend_backward(const struct attend_backward_params *p, float *scratch)
{
    const struct attend_params *f = &p->forward;
    const size_t n_rows = f->n_sequences * f->n_ctx, group = f->n_heads / f->n_kv_heads;
    const size_t d_z = f->n_heads * f->d_head, d_kv = f->n_kv_heads * f->d_head;
    const size_t n_padded = round_up(f->n_ctx, ATTEND_STEP);
    clear_columns(p->d_q, n_rows, d_z, p->ld_d);
    clear_columns(p->d_k, n_rows, d_kv, p->ld_d);
    clear_columns(p->d_v, n_rows, d_kv, p->ld_d);
    for (size_t s = 0; s < f->n_sequences; s++) {
        const size_t row = s * f->n_ctx;
        for (size_t head = 0; head < f->n_heads; head++) {
            const size_t at = head * f->d_head, at_kv = head / group * f->d_head;
            const struct attend_adjoint h = {.q = f->q + row * f->ld + at,
                                             .k = f->k + row * f->ld + at_kv,
                                             .v = f->v + row * f->ld + at_kv,
                                             .d_z = p->d_z + row * d_z + at,
                                             .d_q = p->d_q + row * p->ld_d + at,
                                             .d_k = p->d_k + row * p->ld_d + at_kv,
                                             .d_v = p->d_v + row * p->ld_d + at_kv,
                                             .probabilities = scratch,
                                             .s = scratch + n_padded,
                                             .slopes = scratch + 2 * n_padded,
                                             .ld = f->ld,
                                             .ld_z = d_z,
                                             .ld_d = p->ld_d,
                                             .d_head = f->d_head,
                                             .window = f->window,
                                             .scale = f->scale,
                                             .soft_cap = f->soft_cap};
            for (size_t i = 0; i < f->lengths[s]; i++) attend_backward_query(&h, i);
        }
    }
}
