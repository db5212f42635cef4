/* The loops for any CPU: four floats at a time, as every x86-64 has. Also the reference that the
 * wider versions are tested against. */
#include <math.h>
#include <stddef.h>

#define VEC_WIDTH 4
typedef float vec __attribute__((vector_size(16)));

/* a * b + c in one rounding, which the exact dot is defined by. */
static inline vec vec_fma(vec a, vec b, vec c)
{
    for (size_t lane = 0; lane < VEC_WIDTH; lane++) c[lane] = fmaf(a[lane], b[lane], c[lane]);
    return c;
}

/* a * b + c where the rounding is free. */
static inline vec vec_madd(vec a, vec b, vec c)
{
    return a * b + c;
}

#define VECTOR_KERNELS vector_kernels_plain
#define VECTOR_NAME "plain"
#include "kernels/cpu/vector_body.h"
