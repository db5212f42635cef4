#include "kernels/prepare_row.h"

#include <math.h>
#include <string.h>

static double row_sum(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    return sum;
}

static double row_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void subtract(float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i++) x[i] -= value;
}

/* (x - mean) / (std + 1e-5), std with n - 1 (SAELens: torch's std, eps outside the root); returns
 * the divisor. */
static float layer_norm(float *x, size_t n)
{
    subtract(x, n, (float)(row_sum(x, n) / (double)n));
    /* torch takes the mean out once more inside std(); it is rounding by now */
    const double mean = row_sum(x, n) / (double)n;
    const double squares = row_squares(x, n) - (double)n * mean * mean;
    const float divisor = (float)sqrt(fmax(squares, 0) / (double)(n - 1)) + 1e-5f;
    for (size_t i = 0; i < n; i++) x[i] /= divisor;
    return divisor;
}

static float constant_norm(float *x, size_t n)
{
    const float factor = sqrtf((float)n) / (float)sqrt(row_squares(x, n));
    for (size_t i = 0; i < n; i++) x[i] *= factor;
    return 1.0f / factor;
}

float prepare_row(enum prepare_kind kind, bool is_centred, const float *from, float *to, size_t d)
{
    if (from != to) memcpy(to, from, d * sizeof *to);
    if (is_centred) subtract(to, d, (float)(row_sum(to, d) / (double)d));
    if (kind == PREPARE_CONSTANT) return constant_norm(to, d);
    return kind == PREPARE_LAYER ? layer_norm(to, d) : 1.0f;
}
