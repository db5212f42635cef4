#include "worker/model/weight_shuffle.h"

#include "common/hash.h"

#include <string.h>

static uint64_t next(uint64_t *state) /* splitmix64 */
{
    const uint64_t value = hash_mix64(*state);
    *state += 0x9e3779b97f4a7c15u;
    return value;
}

/* Uniform in [0, n), n > 0: as many bits as n - 1 has, drawn again when they are too large. */
static uint64_t below(uint64_t *state, uint64_t n)
{
    uint64_t mask = n - 1, value;
    for (unsigned shift = 1; shift < 64; shift *= 2) mask |= mask >> shift;
    do value = next(state) & mask;
    while (value >= n);
    return value;
}

void weight_shuffle(float *values, size_t n, uint64_t seed, const char *tensor)
{
    uint64_t state = hash_mix64(hash_mix64(seed) ^ hash_name64(tensor, strlen(tensor)));
    if (seed == 0) return;
    for (size_t i = n; i > 1; i--) { /* Fisher-Yates */
        const size_t j = (size_t)below(&state, i);
        const float swapped = values[i - 1];
        values[i - 1] = values[j];
        values[j] = swapped;
    }
}
