/* The CPU's elementwise and small-matrix loops, one table per instruction set.
 *
 * The loops are written once, in *_body.h, over a vector type `vec` of VEC_WIDTH floats;
 * vector_plain.c, vector_avx2.c and vector_avx512.c include the bodies with their own `vec`.
 * Sums run in an order that depends on VEC_WIDTH alone (never on data, threads or alignment);
 * `dots` runs in the one order that backend.h documents, whatever the width.
 * All pointers are host memory. No state, no errors: the caller checked shapes. Any thread. */
#ifndef KERNELS_CPU_VECTOR_H
#define KERNELS_CPU_VECTOR_H

#include "kernels/backend.h"

#include <stddef.h>
#include <stdint.h>

enum cpu_isa { CPU_ISA_PLAIN, CPU_ISA_AVX2, CPU_ISA_AVX512, CPU_ISA_N };

enum { DOT_LANES = 16 }; /* partial sums of the exact dot; rows are padded to a multiple */

/* One panel of 32 features of a float screen: bit f of masks[t] is set unless
 * product[t, f] * scale[f] + offset[f] + row_residual[t] * norm[f] + row_norm[t] * residual[f]
 * <= floor[t]. */
struct scan_params {
    const float *product; /* [n_tokens, 32], rows `ld` apart */
    size_t ld, n_tokens;
    const float *scale, *offset, *norm, *residual; /* [32] */
    const float *row_residual, *row_norm, *floor;  /* [n_tokens] */
    uint32_t *masks;                               /* [n_tokens] */
};

/* Rows of x times a panel of weights: y[r, c] = sum over k < depth of x[r, k] panel[k, c], or that
 * much more where is_added. A sum is one chain of multiply-adds from 0, k ascending, for each value
 * of y alone: the same bits for a row at any place and among any rows. */
struct multiply_params {
    const float *x;                              /* [n_rows, depth], rows ld_x apart */
    const float *panel;                          /* [depth, multiply_width] */
    float *y;                                    /* [n_rows, n_columns], rows ld_y apart */
    size_t ld_x, ld_y, n_rows, n_columns, depth; /* n_columns: 1..multiply_width */
    bool is_added;
};

enum { WINDOW_KEY_BLOCK = 64 };

/* Sampling keys (common/evidence_key.h) of one slot's windows, and which of them are small:
 * key[i] = evidence_key(number[i], slot_number); bit i % 64 of below[i / 64] is set if it is at
 * most `limit`. The caller pads to whole blocks and ignores what it gets for the padding. */
struct window_keys_params {
    const uint64_t *number; /* [n_blocks, 64] */
    size_t n_blocks;
    uint64_t slot_number, limit;
    uint64_t *key;   /* [n_blocks, 64] */
    uint64_t *below; /* [n_blocks] */
};

struct vector_kernels {
    const char *name;
    void (*norm)(const struct norm_params *p);
    void (*add)(const struct add_params *p);
    void (*activate)(const struct activate_params *p);
    void (*rotate)(const struct rotate_params *p);
    /* scratch: attend_scratch_floats() of the same parameters, 64-byte aligned. */
    void (*attend)(const struct attend_params *p, float *scratch);
    void (*head_norms)(const struct head_norms_params *p);
    void (*norm_backward)(const struct norm_backward_params *p);
    void (*activate_backward)(const struct activate_backward_params *p);
    /* scratch: attend_backward_scratch_floats() of the same context. */
    void (*attend_backward)(const struct attend_backward_params *p, float *scratch);
    void (*blend)(const struct blend_params *p);
    void (*group_dots)(const struct group_dots_params *p);
    void (*contract)(const struct contract_params *p);
    /* hi = bf16(x), lo = bf16(x - hi), both to nearest even; lo may be NULL. */
    void (*split_bf16)(const float *x, size_t n, uint16_t *hi, uint16_t *lo);
    /* q[i] = x[i] * inverse to the nearest integer (|q| <= 127 is the caller's care); adds to
     * sums[0..2] the squares of x, of x - step q and of step q. */
    void (*quantise)(const float *x, size_t n, float step, float inverse, int8_t *q,
                     double sums[3]);
    void (*scan)(const struct scan_params *p);
    /* out[r] = exact dot (backend.h) of w with x[r], r < n_rows; d is a multiple of DOT_LANES. */
    void (*dots)(const float *w, const float *const *x, size_t n_rows, size_t d, float *out);
    void (*window_keys)(const struct window_keys_params *p);
    /* NULL from AVX-512 on, where oneDNN multiplies (matmul.h). */
    void (*multiply)(const struct multiply_params *p);
    size_t multiply_width; /* columns of a panel; 0 without multiply */
    /* Multiply-adds in registers, as fast as the core can: the peak that products are measured
     * against. Does n_rounds x fma_round_flops operations; returns their (meaningless) sum. */
    float (*fma_burst)(size_t n_rounds);
    size_t fma_round_flops;
};

/* Floats that `attend` needs, for any instruction set. */
size_t attend_scratch_floats(size_t n_ctx, size_t d_head);
size_t attend_backward_scratch_floats(size_t n_ctx);

/* The best instruction set of this machine, at most `limit`. */
enum cpu_isa cpu_isa_detect(enum cpu_isa limit);
/* True if the int8 screen (AVX512-VNNI) runs here. */
bool cpu_has_vnni(void);
/* True if bf16 products are faster than f32 ones here (AVX512-BF16 or AMX). */
bool cpu_has_bf16(void);

/* The table of an instruction set that cpu_isa_detect() allows. */
const struct vector_kernels *vector_kernels_of(enum cpu_isa isa);

extern const struct vector_kernels vector_kernels_plain, vector_kernels_avx2, vector_kernels_avx512;

#endif
