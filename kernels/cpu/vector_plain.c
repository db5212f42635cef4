/* The loops for any CPU: four floats at a time, as every x86-64 has. Also the reference that the
 * wider versions are tested against. */
#include <math.h>
#include <stddef.h>

#define VEC_WIDTH 4
typedef float vec __attribute__((vector_size(16)));

/* a * b + c in one rounding, which the exact dot is defined by. */
static inline vec vec_fma(vec a, vec b, vec c)
{
    return (vec){fmaf(a[0], b[0], c[0]), fmaf(a[1], b[1], c[1]), fmaf(a[2], b[2], c[2]),
                 fmaf(a[3], b[3], c[3])};
}

/* a * b + c where the rounding is free. */
static inline vec vec_madd(vec a, vec b, vec c)
{
    return a * b + c;
}

#define VECTOR_KERNELS vector_kernels_plain
#define VECTOR_NAME "plain"
#include "kernels/cpu/vector_body.h"
