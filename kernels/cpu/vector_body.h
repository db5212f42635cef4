/* The loops of one instruction set: included once by each vector_*.c, after it has defined `vec`,
 * VEC_WIDTH, vec_fma(), vec_madd(), VECTOR_KERNELS and VECTOR_NAME, and VECTOR_HAS_ONEDNN where
 * products are oneDNN's (matmul.h). No include guard on purpose. */
#include "common/evidence_key.h"
#include "kernels/cpu/vector.h"

#include <string.h>

typedef uint32_t vec_bits __attribute__((vector_size(4 * VEC_WIDTH)));

static inline vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vec_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

static inline vec vec_set(float x)
{
    return (vec){0} + x;
}

/* The first n < VEC_WIDTH floats at p, the other lanes 0. */
static inline vec vec_load_part(const float *p, size_t n)
{
    vec v = {0};
    memcpy(&v, p, n * sizeof *p);
    return v;
}

static inline void vec_store_part(float *p, vec v, size_t n)
{
    memcpy(p, &v, n * sizeof *p);
}

/* mask ? a : b, where mask lanes are all ones or all zeros. */
static inline vec vec_select(vec_bits mask, vec a, vec b)
{
    return (vec)((mask & (vec_bits)a) | (~mask & (vec_bits)b));
}

static inline vec vec_max(vec a, vec b)
{
    return vec_select((vec_bits)(a > b), a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return vec_select((vec_bits)(a < b), a, b);
}

/* Sum of the lanes, halves folded: lane j + lane j + width/2, and so on down. */
static inline float vec_sum(vec v)
{
    float lanes[VEC_WIDTH];
    vec_store(lanes, v);
    for (size_t half = VEC_WIDTH / 2; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++) lanes[j] += lanes[j + half];
    }
    return lanes[0];
}

/* e^x to about 2 ulp; x is clamped to [-87.3, 88.3], so the result is normal and finite.
 * x = n ln 2 + r with |r| <= ln 2 / 2, Taylor of degree 7 for e^r (Cody and Waite reduction). */
static inline vec vec_exp(vec x)
{
    const float round_to_int = 12582912.0f; /* 1.5 * 2^23: the sum's low bits are the integer */
    x = vec_min(vec_max(x, vec_set(-87.3f)), vec_set(88.3f));
    const vec shifted = vec_madd(x, vec_set(1.44269504f), vec_set(round_to_int));
    const vec n = shifted - round_to_int;
    vec r = vec_madd(n, vec_set(-0.693359375f), x);
    r = vec_madd(n, vec_set(2.12194440e-4f), r);
    vec p = vec_set(1.0f / 5040);
    p = vec_madd(p, r, vec_set(1.0f / 720));
    p = vec_madd(p, r, vec_set(1.0f / 120));
    p = vec_madd(p, r, vec_set(1.0f / 24));
    p = vec_madd(p, r, vec_set(1.0f / 6));
    p = vec_madd(p, r, vec_set(0.5f));
    p = vec_madd(p, r, vec_set(1.0f));
    p = vec_madd(p, r, vec_set(1.0f));
    return (vec)((vec_bits)p + ((vec_bits)shifted << 23)); /* times 2^n */
}

#include "kernels/cpu/activation_body.h"
#include "kernels/cpu/attention_body.h"
#include "kernels/cpu/dot_body.h"
#include "kernels/cpu/norm_body.h"

#include "kernels/cpu/attention_backward_body.h"
#include "kernels/cpu/backward_body.h"
#include "kernels/cpu/contract_body.h"
#include "kernels/cpu/window_keys_body.h"

#ifndef VECTOR_HAS_ONEDNN
#include "kernels/cpu/multiply_body.h"
#endif

enum { BURST_CHAINS = 12 };

static float fma_burst(size_t n_rounds)
{
    const vec factor = vec_set(1.0f - 0x1p-20f), shift = vec_set(0x1p-20f);
    vec sums[BURST_CHAINS], total = {0};
    for (size_t j = 0; j < BURST_CHAINS; j++) sums[j] = vec_set((float)j);
    for (size_t i = 0; i < n_rounds; i++) {
#pragma GCC unroll 12
        for (size_t j = 0; j < BURST_CHAINS; j++) sums[j] = vec_madd(sums[j], factor, shift);
    }
    for (size_t j = 0; j < BURST_CHAINS; j++) total += sums[j];
    return vec_sum(total);
}

const struct vector_kernels VECTOR_KERNELS = {
    .name = VECTOR_NAME,
    .norm = norm,
    .add = add,
    .activate = activate,
    .rotate = rotate,
    .attend = attend,
    .head_norms = head_norms,
    .norm_backward = norm_backward,
    .activate_backward = activate_backward,
    .attend_backward = attend_backward,
    .blend = blend,
    .group_dots = group_dots,
    .contract = contract,
    .split_bf16 = split_bf16,
    .quantise = quantise,
    .scan = scan,
    .dots = dots,
    .window_keys = window_keys,
#ifndef VECTOR_HAS_ONEDNN
    .multiply = multiply,
    .multiply_width = MULTIPLY_WIDTH,
#endif
    .fma_burst = fma_burst,
    .fma_round_flops = 2 * BURST_CHAINS * VEC_WIDTH,
};
