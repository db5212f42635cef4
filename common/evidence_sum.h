/* Sums of values in fixed point: exact, so equal values give the same sum in any order, and on any
 * device. */
#ifndef COMMON_EVIDENCE_SUM_H
#define COMMON_EVIDENCE_SUM_H

#include "common/host_device.h"

#include <stdint.h>

/* Sums stop at UINT64_MAX, whatever the order. */
static HOST_DEVICE inline uint64_t evidence_sum_add(uint64_t sum_fixed, uint64_t more_fixed)
{
    const uint64_t sum = sum_fixed + more_fixed;
    return sum < sum_fixed ? UINT64_MAX : sum;
}

/* `value` > 0 in units of 2^-20. */
static HOST_DEVICE inline uint64_t evidence_sum_of(float value)
{
    const double units = (double)value * 1048576.0 + 0.5;
    return units >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)units;
}

#endif
