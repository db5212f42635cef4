#include "worker/known/plain_trig.h"

/* 1 - x^2/(n(n+1)) * (1 - x^2/((n+2)(n+3)) * ...): the series of cos for n = 1, of sin / x for
 * n = 2. Fourteen terms: the first that is left out is below 2^28 / 28! at |x| = 2. */
static double series(double x, int n)
{
    double sum = 1;
    for (int i = n + 26; i >= n; i -= 2) sum = 1 - x * x / ((double)i * (double)(i + 1)) * sum;
    return sum;
}

double plain_cos(double x)
{
    return series(x, 1);
}

double plain_sin(double x)
{
    return x * series(x, 2);
}

double plain_cos_pi(size_t numerator, size_t denominator)
{
    static const double PI = 3.14159265358979323846;
    size_t at = numerator % (2 * denominator);
    double sign = 1;
    if (at > denominator) at = 2 * denominator - at; /* cos(2 pi - x) = cos x */
    if (2 * at > denominator) {                      /* cos(pi - x) = -cos x */
        at = denominator - at;
        sign = -1;
    }
    const double angle = PI * (double)at / (double)denominator;
    return sign * (4 * at > denominator
                       ? plain_sin(PI * (double)(denominator - 2 * at) / (2 * (double)denominator))
                       : plain_cos(angle));
}
