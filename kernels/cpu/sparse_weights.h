/* Encoder weights of one dictionary in every form that the screens and the refinement read.
 * Read-only after creation but for the packed tiles of the float screens, which the first
 * encoder that needs them makes under a lock. Private to kernels/cpu. */
#ifndef KERNELS_CPU_SPARSE_WEIGHTS_H
#define KERNELS_CPU_SPARSE_WEIGHTS_H

#include "kernels/backend.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/vector.h"

#include <pthread.h>

enum {
    SPARSE_PANEL = 32, /* features screened together: one mask word */
    SPARSE_TILE = 2048 /* features of one product of a float screen */
};

/* What a screen must know of each feature to bound it; arrays [n_padded], 64-byte aligned.
 * bound = product * scale + offset + |e| norm + |x'| residual, e and x' those of the token.
 * Padding features have offset -infinity. */
struct screen_bounds {
    float *scale, *offset, *norm, *residual;
};

struct screen_tiles {
    struct packed **tiles; /* [n_tiles], NULL until made */
    size_t n_tiles;
};

struct sparse {
    size_t n_in, n_row;          /* n_row: n_in up to DOT_LANES */
    size_t n_features, n_padded; /* n_padded: n_features up to SPARSE_TILE or SPARSE_PANEL */
    float *rows;                 /* [n_features, n_row], zeros behind n_in */
    float *bias;                 /* [n_features] */
    float *scale, *floor, *mag_scale, *mag_bias; /* [n_features] or NULL */
    size_t k;
    float rounding; /* bound on the relative f32 rounding of a product, of |x| |w| */
    struct screen_bounds int8, bf16, f32;
    int8_t *panels;       /* [n_padded / 32, n_groups, 32, 4] or NULL without VNNI */
    int32_t *panel_start; /* [n_padded]: -128 times the sum of a feature's int8 weights */
    size_t n_groups;      /* n_in / 4, rounded up */
    const struct vector_kernels *kernels;
    struct memory_ledger *ledger;
    size_t n_bytes;       /* taken from it */
    pthread_mutex_t lock; /* guards the two: */
    struct screen_tiles bf16_tiles, f32_tiles;
};

/* The tiles of a float screen, made on first use. Thread-safe. */
MUST_CHECK status_t sparse_tiles(const struct sparse *sparse, enum screen screen,
                                 struct packed *const **out, struct error *err);

#endif
