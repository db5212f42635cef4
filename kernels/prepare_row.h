/* One row made ready for a dictionary (backend.h, "rows for a dictionary"), on the host: what every
 * device's `prepare` must equal bit for bit. Any thread. */
#ifndef KERNELS_PREPARE_ROW_H
#define KERNELS_PREPARE_ROW_H

#include "kernels/backend.h"

/* to [d] = `from` [d] centred and normed, without the bias; they may be the same array. Returns
 * what undoes the norm: the factor by which SAELens multiplies what it decodes. */
float prepare_row(enum prepare_kind kind, bool is_centred, const float *from, float *to, size_t d);

#endif
