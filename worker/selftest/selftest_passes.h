/* The parts together: passes of small models of both families to a hook point, what a dictionary
 * fires there and its top tokens, and the ablation of a head, on two backends. */
#ifndef WORKER_SELFTEST_SELFTEST_PASSES_H
#define WORKER_SELFTEST_SELFTEST_PASSES_H

#include "kernels/selftest/op_report.h"

/* Rows behind those of the report. Models are written to a new directory below $TMPDIR (/tmp) and
 * removed. Errors: ST_IO, ST_NO_MEMORY, those of the oracle; what the tested backend does wrong is
 * a row. */
MUST_CHECK status_t selftest_passes(struct backend *backend, struct backend *oracle,
                                    struct op_report *report, struct error *err);

#endif
