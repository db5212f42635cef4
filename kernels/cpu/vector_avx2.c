/* The loops for AVX2 with FMA: eight floats at a time. */
#include <immintrin.h>
#include <stddef.h>

#define VEC_WIDTH 8
typedef __m256 vec;

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_madd(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

#define VECTOR_KERNELS vector_kernels_avx2
#define VECTOR_NAME "avx2"
#include "kernels/cpu/vector_body.h"
