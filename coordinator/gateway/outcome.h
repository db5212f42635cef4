/* What an answer, or its absence, means: who is charged, what happens to the call, what it says
 * about the provider. One table of HTTP statuses; the reason names provider, status and what to
 * do about it. Pure but for the random jitter that is passed in. */
#ifndef COORDINATOR_GATEWAY_OUTCOME_H
#define COORDINATOR_GATEWAY_OUTCOME_H

#include "coordinator/gateway/limiter.h"
#include "coordinator/gateway/settlement.h"
#include "coordinator/gateway/transfer.h"

enum { OUTCOME_BACKOFF_BASE_MS = 500, OUTCOME_BACKOFF_MAX_MS = 60000 };

/* Judge an ended transfer of `grant`. `jitter` is uniform in [0, 1). The caller owns
 * out->completion. Never fails: what is not understood is an outcome too. */
void outcome_judge(const struct transfer *transfer, const struct grant *grant,
                   const struct provider *provider, double jitter, struct settlement *out);

/* A grant whose request was not sent by us: gives the reservation back at once. */
void outcome_unsent(const char *reason, struct settlement *out);

/* A send that the journal knows and of which no reply is known. */
void outcome_lost(const char *reason, struct settlement *out);

/* A call that the provider took and, by its own word, did not run. */
void outcome_not_run(const char *reason, bool is_strike, int64_t delay_ms, struct settlement *out);

/* Full jitter (Brooker 2015): uniform in [0, min(cap, base x 2^(n_sends - 1))). */
int64_t outcome_backoff_ms(unsigned n_sends, double jitter);

#endif
