/* The CPU's backend with one operation that computes wrongly: what a self-test must find. */
#ifndef TESTS_SUPPORT_PLANTED_BACKEND_H
#define TESTS_SUPPORT_PLANTED_BACKEND_H

#include "kernels/selftest/op_slots.h"

/* The last value that `op` writes is off by `share` of itself (and a little), everything else is
 * right; OP_N: nothing is wrong. One at a time: the choice holds for the process. */
MUST_CHECK status_t planted_backend_open(struct backend **out, enum op op, float share,
                                         struct error *err);

/* Its table, which is its own and may be changed. */
struct backend_ops *planted_backend_ops(struct backend *backend);

#endif
