#include "kernels/divergence.h"

#include <math.h>
#include <string.h>

static double max_of(const float *row, size_t n)
{
    float max = row[0];
    for (size_t i = 1; i < n; i++) max = row[i] > max ? row[i] : max;
    return (double)max;
}

static double sum_of(const float *row, size_t n, double max)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)row[i] - max);
    return sum;
}

static double count_not_finite(const float *row, size_t n)
{
    size_t n_bad = 0;
    for (size_t i = 0; i < n; i++) n_bad += isfinite(row[i]) ? 0 : 1;
    return (double)n_bad;
}

struct divergence divergence_of_rows(const float *p, const float *q, size_t n)
{
    struct divergence out = {.largest = max_of(q, n)};
    out.sum = sum_of(q, n, out.largest);
    out.n_not_finite = count_not_finite(p, n) + count_not_finite(q, n);
    if (out.n_not_finite > 0) out.kl = NAN;
    if (out.n_not_finite > 0 || memcmp(p, q, n * sizeof *p) == 0) return out;
    const double p_max = max_of(p, n);
    const double p_log = p_max + log(sum_of(p, n, p_max)), q_log = out.largest + log(out.sum);
    double kl = 0;
    for (size_t i = 0; i < n; i++) {
        const double log_p = (double)p[i] - p_log;
        kl += exp(log_p) * (log_p - ((double)q[i] - q_log));
    }
    out.kl = kl > 0 ? kl : 0;
    return out;
}
