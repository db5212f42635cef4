/* How many tokens a byte of a prompt is, for all prompts of one sweep.
 *
 * What the explainer's provider has counted so far, when the sweep asks first; a quarter when it
 * has counted nothing. The answer is kept with the sweep (interp:sweep:ID, tokens_per_byte): a
 * coordinator that is restarted builds the same prompts, whatever was measured since, and finds
 * their replies. */
#ifndef COORDINATOR_SWEEP_TOKEN_RATIO_H
#define COORDINATOR_SWEEP_TOKEN_RATIO_H

#include "coordinator/dispatch/leader.h"

struct token_ratio_source { /* all borrowed */
    struct store *store;
    struct leader *leader;
    const char *sweep_id;
    const char *provider;
};

/* *out > 0, at most 1. Errors: ST_CORRUPT (what is kept), those of the store and of
 * leader_write(). */
MUST_CHECK status_t token_ratio_freeze(const struct token_ratio_source *source, double *out,
                                       struct error *err);

#endif
