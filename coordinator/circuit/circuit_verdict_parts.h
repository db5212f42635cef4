/* Shared by the files of circuit_verdict.h only. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_PARTS_H
#define COORDINATOR_CIRCUIT_CIRCUIT_VERDICT_PARTS_H

#include "coordinator/circuit/circuit_verdict.h"

/* All numbers of one ablation value, is_flat included; `out` is zeroed before. On an error the
 * caller frees out->members and the curves. */
MUST_CHECK status_t value_verdict_estimate(const struct circuit_measures *measures,
                                           const struct value_measures *value,
                                           const struct verdict_thresholds *thresholds,
                                           struct value_verdict *out, struct error *err);

/* Outcome and reasons from the numbers. */
MUST_CHECK status_t circuit_verdict_judge(struct circuit_verdict *verdict,
                                          const struct circuit_measures *measures,
                                          struct error *err);

#endif
