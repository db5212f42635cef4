/* Cosines by Taylor's series, from additions, products and quotients alone: every machine with
 * IEEE doubles gives the same bits, which libm does not promise. Errors below 1e-15. Pure. */
#ifndef WORKER_KNOWN_PLAIN_TRIG_H
#define WORKER_KNOWN_PLAIN_TRIG_H

#include <stddef.h>

double plain_cos(double x); /* |x| at most 2, in radians */
double plain_sin(double x); /* |x| at most 2, in radians */

/* cos(pi * numerator / denominator), denominator > 0. */
double plain_cos_pi(size_t numerator, size_t denominator);

#endif
