/* The exact dot of backend.h: DOT_LANES partial sums whatever the vector width
 * (part of vector_body.h). */

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
    for (; r < n_rows; r++) dot_group(w, x + r, 1, d, out + r);
}
