/* What an estimate needs to know and can find out before anything is submitted: the size of
 * the corpora (by reading them, so a bad corpus is found here), how many features were chosen
 * (from the config.json and cfg.json beside the weights), and the providers' prices.
 * Blocking file access; any thread. */
#ifndef COORDINATOR_PLAN_ESTIMATE_FACTS_H
#define COORDINATOR_PLAN_ESTIMATE_FACTS_H

#include "coordinator/gateway/provider_config.h"
#include "coordinator/plan/estimate.h"

/* Fill *out from `spec` (borrowed by *out). `providers` may be NULL when the spec asks none.
 * Left 0, for the caller to fill: plan_stats, capture_tokens_per_second, n_workers, and
 * n_features where a count cannot be read (density ranges are ignored: an upper bound). Errors:
 * ST_NOT_FOUND (provider, corpus), those of corpus_open() and corpus_next(). */
MUST_CHECK status_t estimate_facts_read(struct estimate_input *out, const struct sweep_spec *spec,
                                        const struct provider_config *providers, struct error *err);

#endif
