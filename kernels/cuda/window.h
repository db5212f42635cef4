/* Room on the device for two layers of shelved weights, and the stream that fills it: while the
 * exec computes with one half, the layer that comes next is copied into the other; the caller says
 * which, for passes go forward and back.
 *
 *   exec's stream:  [layer l in half 0 ........] free(1)->  [layer l+1 in half 1 ........]
 *   copy stream:         [l+1 -> half 1] there(1)                 [l+2 -> half 0] there(0)
 *
 * `free` is recorded on the exec's stream when the half's last reader has been queued, `there`
 * on the copy stream behind the last copy. One thread, that of the exec. */
#ifndef KERNELS_CUDA_WINDOW_H
#define KERNELS_CUDA_WINDOW_H

#include "kernels/cuda/exec.h"

MUST_CHECK status_t window_open(struct window **out, struct exec *exec,
                                const struct window_params *params, struct error *err);
void window_close(struct window *window);
MUST_CHECK status_t window_take(struct window *window, size_t layer, size_t next,
                                const struct packed *const **out, struct error *err);

#endif
