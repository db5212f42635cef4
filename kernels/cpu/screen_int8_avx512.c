#include "kernels/cpu/screen_int8.h"

#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))

/* Bit f: NOT(sum * step * scale + offset + residual norm_f + norm residual_f <= floor), so that a
 * NaN counts as a candidate. */
static inline VNNI __mmask16 bound_mask(__m512i sums, const struct int8_panel *p, size_t half,
                                        const struct int8_tokens *t, size_t token)
{
    const __m512 scale =
        _mm512_mul_ps(_mm512_loadu_ps(p->scale + 16 * half), _mm512_set1_ps(t->step[token]));
    __m512 bound =
        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), scale, _mm512_loadu_ps(p->offset + 16 * half));
    bound = _mm512_fmadd_ps(_mm512_set1_ps(t->residual[token]),
                            _mm512_loadu_ps(p->norm + 16 * half), bound);
    bound = _mm512_fmadd_ps(_mm512_set1_ps(t->norm[token]),
                            _mm512_loadu_ps(p->residual + 16 * half), bound);
    return _mm512_cmp_ps_mask(bound, _mm512_set1_ps(t->floor[token]), _CMP_NLE_UQ);
}

/* sum += four products of unsigned (value) and signed (weight) bytes per lane. The intrinsic
 * makes gcc 12 copy and store every sum in every step (half the speed), so the instruction is
 * written out; for the same reason the twelve tokens' sums are named, not an array. */
#define DOT_BYTES(sum, value, weight)                                                              \
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(value), "v"(weight))
#define EACH_TOKEN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define SUMS(j) __m512i low##j = start_low, high##j = start_high;
#define MULTIPLY(j)                                                                                \
    value = _mm512_set1_epi32(four_values(x + 4 * (j)));                                           \
    DOT_BYTES(low##j, value, w_low);                                                               \
    DOT_BYTES(high##j, value, w_high);
#define MASK(j)                                                                                    \
    masks[first + (j)] = (uint32_t)bound_mask(low##j, p, 0, t, first + (j)) |                      \
                         (uint32_t)bound_mask(high##j, p, 1, t, first + (j)) << 16;

static inline int32_t four_values(const uint8_t *x)
{
    int32_t four;
    __builtin_memcpy(&four, x, sizeof four);
    return four;
}

static VNNI void panel_tokens(const struct int8_panel *p, const struct int8_tokens *t, size_t first,
                              uint32_t *masks)
{
    const uint8_t *x = t->values + first * p->n_groups * 4;
    const int8_t *w = p->weights;
    const __m512i start_low = _mm512_loadu_si512(p->start);
    const __m512i start_high = _mm512_loadu_si512(p->start + 16);
    EACH_TOKEN(SUMS)
    for (size_t g = 0; g < p->n_groups; g++) {
        const __m512i w_low = _mm512_loadu_si512(w), w_high = _mm512_loadu_si512(w + 64);
        __m512i value;
        EACH_TOKEN(MULTIPLY)
        w += 128;
        x += 4 * INT8_TOKENS;
    }
    EACH_TOKEN(MASK)
}

void screen_int8_panel(const struct int8_panel *panel, const struct int8_tokens *tokens,
                       uint32_t *masks)
{
    for (size_t first = 0; first < tokens->n_tokens; first += INT8_TOKENS)
        panel_tokens(panel, tokens, first, masks);
}
