/* The loops for AVX-512: sixteen floats at a time. */
#include <immintrin.h>
#include <stddef.h>

#define VEC_WIDTH 16
typedef __m512 vec;

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_madd(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#define VECTOR_KERNELS vector_kernels_avx512
#define VECTOR_NAME "avx512"
#define VECTOR_HAS_ONEDNN
#include "kernels/cpu/vector_body.h"
