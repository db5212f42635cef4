/* What every device checks first of operations that name rows and columns by number. Pure; any
 * thread. */
#ifndef KERNELS_ROW_CHECKS_H
#define KERNELS_ROW_CHECKS_H

#include "kernels/backend.h"

/* Errors: ST_BAD_INPUT names the first edit that lies outside of x, that adds nothing, or whose
 * terms are not those of the call or not all it has. That no two touch the same value is the
 * caller's to know. */
MUST_CHECK status_t edit_check(const struct edit_params *p, struct error *err);

/* Errors: ST_BAD_INPUT names the first pair that is none of the rows, or the first column that is
 * none of n_out. */
MUST_CHECK status_t divergence_check(const struct diverge_params *params, size_t n_out,
                                     struct error *err);

#endif
