/* Do several judges say the same of the same windows? Agreement beyond chance, with an interval
 * over documents.
 *
 *   kappa = (observed - expected) / (1 - expected)
 *
 * Cohen (1960), two judges: expected agreement from each judge's own share of "fires".
 * Fleiss (1971), two or more: from the share of "fires" among all answers; observed is the share
 * of agreeing pairs of judges, mean over windows. With two judges the two kappas differ.
 *
 * A window that any of the judges failed to answer is left out and counted: a reply that does
 * not parse is no opinion. Undefined without a window, and when expected agreement is 1 (every
 * answer is the same): then there is no room for agreement beyond chance, and a judge that
 * always says yes agrees with nobody. Pure functions; any thread. */
#ifndef COORDINATOR_SESSION_AGREEMENT_H
#define COORDINATOR_SESSION_AGREEMENT_H

#include "coordinator/session/bootstrap.h"

enum { AGREEMENT_MAX_JUDGES = 64 };

struct agreement {
    struct score_value kappa;
    struct interval interval; /* of kappa */
    struct score_value observed;
    struct score_value expected;
    size_t n_windows;  /* that all judges answered */
    size_t n_left_out; /* that one of them did not */
    size_t n_documents;
};

/* judges[i] is [n_windows]: what judge i said, in the same order of windows for all of them.
 * Errors: ST_BAD_INPUT (judges of different windows: another document or truth; params; fewer
 * than two judges or more than AGREEMENT_MAX_JUDGES), ST_NO_MEMORY; *out untouched. */
MUST_CHECK status_t agreement_cohen(const struct judgement *a, const struct judgement *b,
                                    size_t n_windows, const struct bootstrap_params *params,
                                    struct agreement *out, struct error *err);
MUST_CHECK status_t agreement_fleiss(const struct judgement *const *judges, size_t n_judges,
                                     size_t n_windows, const struct bootstrap_params *params,
                                     struct agreement *out, struct error *err);

#endif
