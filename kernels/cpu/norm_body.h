/* Norms, sums of rows, rotation, bf16 parts (part of vector_body.h). */

/* Sum over a row of x - mean or of (x - mean)^2, in four vectors of partial sums. */
static inline float row_moment(const float *x, size_t d, float mean, bool is_squared)
{
    const vec one = vec_set(1.0f);
    vec sums[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;
    for (; i + 4 * VEC_WIDTH <= d; i += 4 * VEC_WIDTH) {
        for (size_t j = 0; j < 4; j++) {
            const vec v = vec_load(x + i + j * VEC_WIDTH) - mean;
            const vec factor = is_squared ? v : one;
            sums[j] = vec_madd(v, factor, sums[j]);
        }
    }
    float rest = 0.0f;
    for (; i < d; i++) rest += is_squared ? (x[i] - mean) * (x[i] - mean) : x[i] - mean;
    return vec_sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

static void norm(const struct norm_params *p)
{
    const float n = (float)p->d;
    for (size_t r = 0; r < p->n_rows; r++) {
        const float *x = p->x + r * p->d;
        float *y = p->y + r * p->d;
        const float mean = p->kind == NORM_LAYER ? row_moment(x, p->d, 0.0f, false) / n : 0.0f;
        const float variance = row_moment(x, p->d, mean, true) / n;
        const float factor = 1.0f / __builtin_sqrtf(variance + p->eps);
        if (!p->weight) {
            for (size_t i = 0; i < p->d; i++) y[i] = (x[i] - mean) * factor;
        } else if (!p->bias) {
            for (size_t i = 0; i < p->d; i++) y[i] = (x[i] - mean) * factor * p->weight[i];
        } else {
            for (size_t i = 0; i < p->d; i++)
                y[i] = (x[i] - mean) * factor * p->weight[i] + p->bias[i];
        }
    }
}

static void add(const struct add_params *p)
{
    for (size_t r = 0; r < p->n_rows; r++) {
        const float *a = p->a + r * p->ld_a, *b = p->b ? p->b + r * p->d : NULL;
        float *out = p->out + r * p->ld_out;
        if (b && p->bias) {
            for (size_t i = 0; i < p->d; i++) out[i] = a[i] + (b[i] + p->bias[i]);
        } else if (b) {
            for (size_t i = 0; i < p->d; i++) out[i] = a[i] + b[i];
        } else if (p->bias) {
            for (size_t i = 0; i < p->d; i++) out[i] = a[i] + p->bias[i];
        } else if (out != a) {
            memcpy(out, a, p->d * sizeof *out);
        }
    }
}

static void rotate(const struct rotate_params *p)
{
    const size_t half = p->d_head / 2;
    const size_t step = p->is_interleaved ? 2 : 1, apart = p->is_interleaved ? 1 : half;
    for (size_t r = 0; r < p->n_rows; r++) {
        const float *c = p->cos + r % p->n_ctx * half, *s = p->sin + r % p->n_ctx * half;
        for (size_t head = 0; head < p->n_heads; head++) {
            float *low = p->x + r * p->ld + head * p->d_head, *high = low + apart;
            for (size_t i = 0; i < half; i++) {
                const float a = low[i * step], b = high[i * step];
                low[i * step] = a * c[i] - b * s[i];
                high[i * step] = b * c[i] + a * s[i];
            }
        }
    }
}

static void split_bf16(const float *x, size_t n, uint16_t *hi, uint16_t *lo)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        hi[i] = (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    }
    if (!lo) return;
    for (size_t i = 0; i < n; i++) {
        const uint32_t hi_bits = (uint32_t)hi[i] << 16;
        float high, low;
        uint32_t bits;
        memcpy(&high, &hi_bits, sizeof high);
        low = x[i] - high;
        memcpy(&bits, &low, sizeof bits);
        lo[i] = (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    }
}

/* |z F| with F [d, d] row-major: the sums over i run in ascending order per column. */
static float projected_norm(const float *z, const float *factor, size_t d)
{
    float total = 0.0f;
    size_t j = 0;
    for (; j + VEC_WIDTH <= d; j += VEC_WIDTH) {
        vec sum = {0};
        for (size_t i = 0; i < d; i++)
            sum = vec_madd(vec_set(z[i]), vec_load(factor + i * d + j), sum);
        total += vec_sum(sum * sum);
    }
    for (; j < d; j++) {
        float sum = 0.0f;
        for (size_t i = 0; i < d; i++) sum += z[i] * factor[i * d + j];
        total += sum * sum;
    }
    return __builtin_sqrtf(total);
}

static void head_norms(const struct head_norms_params *p)
{
    const size_t d = p->d_head;
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t head = 0; head < p->n_heads; head++)
            p->out[r * p->n_heads + head] =
                projected_norm(p->z + (r * p->n_heads + head) * d, p->factors + head * d * d, d);
    }
}
