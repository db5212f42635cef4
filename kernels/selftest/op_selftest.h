/* Every operation of a backend against an oracle: the CPU's table, or, for the CPU itself, plain
 * loops in double (reference.h). Any thread; a run needs the backend for itself. */
#ifndef KERNELS_SELFTEST_OP_SELFTEST_H
#define KERNELS_SELFTEST_OP_SELFTEST_H

#include "kernels/selftest/op_trial.h"

/* What is held against `backend`; the caller closes it. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t op_selftest_oracle(const struct backend *backend, struct backend **out,
                                       struct error *err);

/* The size that suits it: OP_SMALL on the emulator, OP_MEDIUM on the CPU, else OP_LARGE. */
enum op_size op_selftest_size(const struct backend *backend);

/* All cases; a row each and more. Errors are those of memory and of the oracle: a backend that
 * computes wrongly, or fails, is rows that say so. */
MUST_CHECK status_t op_selftest_run(struct backend *backend, struct backend *oracle,
                                    enum op_size size, struct op_report *report, struct error *err);

/* Before a plugin's backend is used: all cases at the shortest size, a fraction of a second.
 * Errors: ST_UNSUPPORTED naming the first operation that is wrong, and its error. */
MUST_CHECK status_t op_selftest_short(struct backend *backend, struct error *err);

#endif
