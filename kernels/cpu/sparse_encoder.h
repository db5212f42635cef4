/* One thread's encoder from the inside: what sparse.c (lifetime, run), sparse_prepare.c (rows into
 * scratch, rounding), sparse_screen.c (candidates) and sparse_judge.c (which screen) share.
 * Private to kernels/cpu. */
#ifndef KERNELS_CPU_SPARSE_ENCODER_H
#define KERNELS_CPU_SPARSE_ENCODER_H

#include "kernels/cpu/screen_int8.h"
#include "kernels/cpu/sparse.h"
#include "kernels/cpu/sparse_refine.h"
#include "kernels/cpu/sparse_tally.h"
#include "kernels/cpu/sparse_weights.h"

struct sparse_encoder {
    const struct sparse *sparse;
    const struct vector_kernels *kernels;
    struct matmul_cache *matmul;
    size_t row_block, n_block; /* n_block: tokens of a block, a multiple of row_block */
    enum screen wanted, screen;
    uint32_t *selected; /* one bit a feature, NULL: all */
    struct refiner refiner;
    float *x;                  /* [n_block + padding, n_row] */
    int8_t *q;                 /* [n_in up to whole groups of 4], zeros behind n_in */
    uint16_t *x_hi;            /* [n_block, n_in], bf16 */
    float *product;            /* [row_block, tile width] */
    uint32_t *masks;           /* [n_block + padding], of the panel at hand */
    struct int8_tokens tokens; /* step, residual, norm, floor serve every screen */
    /* int8 only, NULL until centred: x - centre is rounded, offset holds centre W on top */
    float *centre, *centred; /* [n_in]; centred: the row at hand */
    double centre_norm;
    float *offset; /* [n_padded] */
    struct sparse_stats stats;
    struct tally tally;
    uint64_t window_tokens, window_candidates, window_fired; /* since the screen was judged */
};

/* n zeroed floats, 64-byte aligned. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t sparse_array_f32(size_t n, float **out, struct error *err);

/* Copy tokens first .. first + n of x into scratch, rounded as the screen in use needs, with the
 * norms that bound the rounding. Errors: ST_BAD_INPUT (not finite: names the token). */
MUST_CHECK status_t sparse_prepare(struct sparse_encoder *e, const float *x, size_t first,
                                   size_t n_tokens, struct error *err);

/* Find and refine the candidates of the prepared block. */
MUST_CHECK status_t sparse_screen_block(struct sparse_encoder *e, size_t n_tokens,
                                        struct error *err);

/* AUTO: centre, or take the next screen, if this one lets too much through. n_tokens: of the
 * block just done. */
MUST_CHECK status_t sparse_judge(struct sparse_encoder *e, size_t n_tokens, struct error *err);

#endif
