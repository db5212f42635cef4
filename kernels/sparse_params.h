/* What holds for the parameters of a sparse encoder on every backend. */
#ifndef KERNELS_SPARSE_PARAMS_H
#define KERNELS_SPARSE_PARAMS_H

#include "kernels/backend.h"

enum { SPARSE_MAX_IN = 50000 /* keeps int8 sums inside 32 bits */, SPARSE_MAX_FEATURES = 1 << 26 };

/* Errors: ST_TOO_LARGE (shape), ST_BAD_INPUT (parameters that contradict, a scale below 0). */
MUST_CHECK status_t sparse_params_check(const struct sparse_params *p, struct error *err);

#endif
