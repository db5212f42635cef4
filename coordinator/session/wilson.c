#include "coordinator/session/wilson.h"

#include <math.h>

struct wilson wilson_interval(uint64_t n_yes, uint64_t n, uint64_t population, double z)
{
    if (n == 0 || n_yes > n || (population > 0 && n > population))
        return (struct wilson){.is_defined = false};
    const double k = (double)n_yes, size = (double)n, n_no = (double)(n - n_yes);
    double z2 = z * z;
    if (population == 1)
        z2 = 0;
    else if (population > 1)
        z2 *= (double)(population - n) / (double)(population - 1);
    const double centre = (k + z2 / 2) / (size + z2);
    const double half = sqrt(z2) * sqrt(k * n_no / size + z2 / 4) / (size + z2);
    /* at 0 and 1 the two terms are equal: no rounding may put the share outside */
    return (struct wilson){.is_defined = true,
                           .share = k / size,
                           .low = n_yes == 0 ? 0 : centre - half,
                           .high = n_yes == n ? 1 : centre + half};
}
