/* The exact dot of backend.h: DOT_LANES partial sums whatever the vector width; and the scan of a
 * screen's products for pairs worth that dot (part of vector_body.h). */

enum { DOT_VECS = DOT_LANES / VEC_WIDTH, DOT_ROWS = 8 / DOT_VECS };

static inline float dot_fold(const vec *sums)
{
    float lanes[DOT_LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (size_t half = DOT_LANES / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

/* n_rows is a constant where this is inlined: DOT_ROWS or 1. */
static inline void dot_group(const float *w, const float *const *x, size_t n_rows, size_t d,
                             float *out)
{
    vec sums[DOT_ROWS][DOT_VECS];
    memset(sums, 0, sizeof sums);
    for (size_t i = 0; i < d; i += DOT_LANES) {
        for (size_t v = 0; v < DOT_VECS; v++) {
            const vec weight = vec_load(w + i + v * VEC_WIDTH);
#pragma GCC unroll 8
            for (size_t r = 0; r < n_rows; r++)
                sums[r][v] = vec_fma(vec_load(x[r] + i + v * VEC_WIDTH), weight, sums[r][v]);
        }
    }
    for (size_t r = 0; r < n_rows; r++) out[r] = dot_fold(sums[r]);
}

static void dots(const float *w, const float *const *x, size_t n_rows, size_t d, float *out)
{
    size_t r = 0;
    for (; r + DOT_ROWS <= n_rows; r += DOT_ROWS) dot_group(w, x + r, DOT_ROWS, d, out + r);
    /* Candidates come in ones and twos: side by side, their chains of additions overlap. */
    for (; r + 2 <= n_rows; r += 2) dot_group(w, x + r, 2, d, out + r);
    if (r < n_rows) dot_group(w, x + r, 1, d, out + r);
}

/* Lanes where the bound is not certainly at or under the floor: all ones. */
static inline vec_bits scan_lanes(const struct scan_params *p, size_t t, size_t f)
{
    const vec product = vec_load(p->product + t * p->ld + f);
    vec bound = vec_madd(product, vec_load(p->scale + f), vec_load(p->offset + f));
    bound = vec_madd(vec_load(p->norm + f), vec_set(p->row_residual[t]), bound);
    bound = vec_madd(vec_load(p->residual + f), vec_set(p->row_norm[t]), bound);
    return ~(vec_bits)(bound <= p->floor[t]);
}

/* Candidates are few, so lanes are read one by one only if any is set. */
static inline uint32_t scan_row(const struct scan_params *p, size_t t)
{
    enum { N_VECS = 32 / VEC_WIDTH };
    vec_bits lanes[N_VECS], any = {0};
    uint32_t bits[32], mask = 0, sum = 0;
    for (size_t v = 0; v < N_VECS; v++) {
        lanes[v] = scan_lanes(p, t, v * VEC_WIDTH);
        any |= lanes[v];
    }
    for (size_t j = 0; j < VEC_WIDTH; j++) sum |= any[j];
    if (!sum) return 0;
    for (size_t v = 0; v < N_VECS; v++) memcpy(bits + v * VEC_WIDTH, &lanes[v], sizeof lanes[v]);
    for (size_t j = 0; j < 32; j++) mask |= (bits[j] & 1u) << j;
    return mask;
}

static void scan(const struct scan_params *p)
{
    for (size_t t = 0; t < p->n_tokens; t++) p->masks[t] = scan_row(p, t);
}

enum { QUANTISE_RUN = 256 }; /* squares summed in f32 before they join the double sums */

static void quantise_run(const float *x, size_t n, float step, float inverse, int8_t *q,
                         double sums[3])
{
    const float to_int = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float rounded[QUANTISE_RUN] = {0}, square = 0, left = 0, kept = 0;
    vec squares = {0}, lefts = {0}, kepts = {0};
    for (size_t i = 0; i < n; i++) rounded[i] = (x[i] * inverse + to_int) - to_int;
    for (size_t i = 0; i < n; i++) q[i] = (int8_t)(int)rounded[i];
    size_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) {
        const vec v = vec_load(x + i), back = vec_load(rounded + i) * step, rest = v - back;
        squares = vec_madd(v, v, squares);
        lefts = vec_madd(rest, rest, lefts);
        kepts = vec_madd(back, back, kepts);
    }
    for (; i < n; i++) {
        const float back = rounded[i] * step, rest = x[i] - back;
        square += x[i] * x[i];
        left += rest * rest;
        kept += back * back;
    }
    sums[0] += (double)vec_sum(squares) + (double)square;
    sums[1] += (double)vec_sum(lefts) + (double)left;
    sums[2] += (double)vec_sum(kepts) + (double)kept;
}

static void quantise(const float *x, size_t n, float step, float inverse, int8_t *q, double sums[3])
{
    for (size_t i = 0; i < n; i += QUANTISE_RUN)
        quantise_run(x + i, n - i < QUANTISE_RUN ? n - i : QUANTISE_RUN, step, inverse, q + i,
                     sums);
}
