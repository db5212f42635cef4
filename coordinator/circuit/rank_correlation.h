/* Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs.
 * Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_RANK_CORRELATION_H
#define COORDINATOR_CIRCUIT_RANK_CORRELATION_H

#include "common/error.h"
#include "coordinator/session/score.h"

/* Of a [n] and b [n], finite. Undefined where one of them has a single value only. Errors:
 * ST_NO_MEMORY. */
MUST_CHECK status_t rank_correlation(const double *a, const double *b, size_t n,
                                     struct score_value *out, struct error *err);

#endif
