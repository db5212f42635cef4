/* Two distributions over the vocabulary compared on the host (backend.h, "distributions compared"):
 * the oracle of every device's `diverge`. Pure; any thread. */
#ifndef KERNELS_DIVERGENCE_H
#define KERNELS_DIVERGENCE_H

#include "kernels/backend.h"

/* Of rows of logits p and q [n], n >= 1. Sums are in double, in ascending order of columns: of the
 * exponentials first, then of p (log p - log q). kl is NaN where a logit is not finite. */
struct divergence divergence_of_rows(const float *p, const float *q, size_t n);

#endif
