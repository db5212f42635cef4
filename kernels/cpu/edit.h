/* Rows of activations changed in place (backend.h, "activations changed where they lie"). */
#ifndef KERNELS_CPU_EDIT_H
#define KERNELS_CPU_EDIT_H

#include "kernels/backend.h"

/* Errors: ST_BAD_INPUT (kernels/row_checks.h), and then x is as it was. Any thread. */
MUST_CHECK status_t edit_rows(const struct edit_params *p, struct error *err);

#endif
