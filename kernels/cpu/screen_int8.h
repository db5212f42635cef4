/* The int8 screen by AVX512-VNNI: products and bounds of 32 features without leaving registers.
 * Private to kernels/cpu. */
#ifndef KERNELS_CPU_SCREEN_INT8_H
#define KERNELS_CPU_SCREEN_INT8_H

#include <stddef.h>
#include <stdint.h>

enum { INT8_TOKENS = 12 }; /* tokens multiplied together: 24 of 32 registers are sums */

/* One panel of 32 features; arrays as in struct screen_bounds, at the panel's first feature. */
struct int8_panel {
    const int8_t *weights;                         /* [n_groups, 32, 4] */
    const int32_t *start;                          /* [32] */
    const float *scale, *offset, *norm, *residual; /* [32] */
    size_t n_groups;
};

/* Tokens rounded to int8, kept as unsigned (value + 128), and what bounds them; [n_tokens] with
 * n_tokens a multiple of INT8_TOKENS. */
struct int8_tokens {
    uint8_t *values; /* [n_tokens / 12, n_groups, 12, 4] */
    float *step;     /* x' = step * value */
    float *residual; /* bounds |x - x'| and the f32 rounding of the whole product */
    float *norm;     /* bounds |x'| */
    float *floor;    /* a bound must be above it */
    size_t n_tokens;
};

/* masks[t] bit f: feature f of the panel may fire on token t. */
void screen_int8_panel(const struct int8_panel *panel, const struct int8_tokens *tokens,
                       uint32_t *masks);

#endif
