/* Sparse activations, row by row: row r holds the entries [row_start[r], row_start[r + 1]) of
 * `feature` (ascending within the row) and `value`. The maker states who owns the arrays. */
#ifndef KERNELS_SPARSE_ROWS_H
#define KERNELS_SPARSE_ROWS_H

#include <stddef.h>
#include <stdint.h>

struct sparse_rows {
    size_t n_rows;
    size_t *row_start; /* [n_rows + 1] */
    uint32_t *feature; /* [row_start[n_rows]] */
    float *value;      /* [row_start[n_rows]] */
};

#endif
