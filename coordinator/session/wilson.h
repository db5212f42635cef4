/* The interval of a share seen in a sample (Wilson 1927): all p for which the seen share lies
 * within z standard errors of p.
 *
 *   low, high = (k + z2/2 -+ z sqrt(k (n - k) / n + z2/4)) / (n + z2),   z2 = z z
 *
 * Unlike p -+ z se it stays inside [0, 1] and holds for small n and shares near 0 and 1. When
 * the n are drawn without replacement from a population of N, the variance is (N - n) / (N - 1)
 * of that, so z2 is multiplied by it (Cochran 1977, 2.6): who asks everybody knows the share.
 * Pure; any thread. */
#ifndef COORDINATOR_SESSION_WILSON_H
#define COORDINATOR_SESSION_WILSON_H

#include <stdbool.h>
#include <stdint.h>

#define WILSON_Z_95 1.9599639845400545 /* the normal distribution's 97.5 % point */

struct wilson {
    bool is_defined; /* n > 0, n_yes <= n, and n <= population unless that is 0 */
    double share, low, high;
};

/* n_yes of n; `population` 0: without end. */
struct wilson wilson_interval(uint64_t n_yes, uint64_t n, uint64_t population, double z);

#endif
