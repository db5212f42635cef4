/* The paid calls of a sweep: what they may cost together, and why they stand still when they do.
 * Of the sessions of label sweeps and of the agent of circuit sweeps; the calls themselves are
 * coordinator/gateway/call.h. Loop thread only. */
#ifndef COORDINATOR_SWEEP_PAID_CALLS_H
#define COORDINATOR_SWEEP_PAID_CALLS_H

#include "coordinator/sweep/sweep.h"

/* Who is asked. Names are borrowed; NULL among them: nobody. */
struct paid_providers {
    const char *const *names; /* [n] */
    size_t n;
};

/* Tell the books what the sweep may spend (coordinator/plan/budget.h); before its first call.
 * Errors: those of call_set_budget(). */
MUST_CHECK status_t paid_calls_set_budget(const struct sweep *sweep, struct error *err);

/* Why the calls do not move, "" if they do: the budget is spent, no gateway has a provider's key,
 * or a provider refuses and has no fallback that answers in its place. Errors: those of the
 * store. */
MUST_CHECK status_t paid_calls_find_problem(const struct sweep *sweep,
                                            const struct paid_providers *providers,
                                            char out[SWEEP_REASON_SIZE], struct error *err);

#endif
