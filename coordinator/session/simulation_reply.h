/* What a judge predicted for every token of a window, read strictly: untrusted bytes in, exactly
 * one number from 0 to 10 for each token out, or a window that failed (simulation.h imputes it).
 *
 * Logprobs form. The reply is read only where three things spell the same: the tokens of the
 * log probabilities spell the reply, and the reply's lines spell the window's tokens, in order
 * and number. A line is a token, a tab and a whole number; lines without a tab (fences, prose)
 * say nothing; blanks around a token are not compared, since models drop them. A number counts
 * as an expected value: of the most probable tokens at its place those that are "0" to "10", and
 * the one that came, renormalised (Bills et al. 2023).
 *
 *   " cat" TAB "7" LF          top at "7": "7" .6, "8" .3, " the" .1        7 1/3
 *
 * Where the reply's token is "1", the share of it that goes on with "0" counts as 10: that is how
 * vocabularies of single digits write ten.
 *
 * Where log probabilities are missing or do not spell the reply (another endpoint answered, or the
 * gateway dropped them for their size) the numbers that were written still are a scale: the same
 * lines, each number for itself.
 *
 * Scale form. {"activations": [{"token", "value"}, ...]}, found as prompt_reply.h finds objects;
 * one entry for each token in order, a value from 0 to 10.
 *
 * Work is bounded by the sizes of reply and log probabilities. Any thread. */
#ifndef COORDINATOR_SESSION_SIMULATION_REPLY_H
#define COORDINATOR_SESSION_SIMULATION_REPLY_H

#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/simulation_prompt.h"

enum { SIMULATION_MAX_LOGPROBS_BYTES = 1 << 20 };

/* logprobs[n_logprobs_bytes]: JSON text of choices[0].logprobs; NULL: the provider gave none,
 * which fails here. predicted [tokens->n_tokens] is untouched on failure. Errors: ST_BAD_INPUT
 * says what does not fit, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t simulation_reply_logprobs(const char *reply, size_t n_bytes,
                                              const char *logprobs, size_t n_logprobs_bytes,
                                              const struct simulation_tokens *tokens,
                                              double *predicted, struct error *err);

/* The lines alone, without log probabilities. */
MUST_CHECK status_t simulation_reply_lines(const char *reply, size_t n_bytes,
                                           const struct simulation_tokens *tokens,
                                           double *predicted, struct error *err);

/* The same for the scale form. */
MUST_CHECK status_t simulation_reply_scale(const char *reply, size_t n_bytes,
                                           const struct simulation_tokens *tokens,
                                           double *predicted, struct error *err);

#endif
