/* Is another round worth its calls? Decided by each feature's own evidence, after every round that
 * was judged on validate windows: spend follows uncertainty, and nothing depends on what other
 * features do, on time, or on the order of replies.
 *
 *   outlook     when                                                         goes on?
 *   early       fewer than rounds.min rounds are tested                      yes
 *   settled     the best round reaches the target and passed its adversarial no
 *               texts (session_rounds.h)
 *   hopeless    the whole interval of the best round, and of each of the     no
 *               last `patience`, lies below `floor`
 *   contested   the best round's interval reaches the target; or it reaches  yes
 *               the floor and the adversarial texts are not passed; or
 *               another label is within noise of the best one
 *   decided     none of these: short of the target, believable, and clearly  no
 *               ahead of every other label
 *
 * `floor` is what support will need at the least of a judge who guesses: 1/2 and z_min standard
 * deviations of the balanced accuracy of coins over as many test windows. Intervals are 95 %
 * bootstrap intervals over validate documents; a lead is within noise when the interval of the
 * paired difference reaches 0. An interval that is undefined decides nothing: the feature is
 * contested. patience 0: only settled features stop. Pure; any thread. */
#ifndef COORDINATOR_SESSION_SESSION_OUTLOOK_H
#define COORDINATOR_SESSION_SESSION_OUTLOOK_H

#include "coordinator/session/session_rounds.h"

enum session_outlook {
    OUTLOOK_EARLY,
    OUTLOOK_CONTESTED,
    OUTLOOK_SETTLED,
    OUTLOOK_HOPELESS,
    OUTLOOK_DECIDED
};
enum { SESSION_N_OUTLOOKS = 5 };

const char *session_outlook_name(enum session_outlook outlook); /* "contested", ... */
bool session_outlook_goes_on(enum session_outlook outlook);

/* Of the rounds so far; the last one must have been measured. */
enum session_outlook session_outlook(const struct session_rounds *rounds,
                                     const struct rounds_rule *rule);

/* The last round was judged on validate windows: its interval, and the lead of the best round.
 * Every round is judged on the same windows in the same order. Errors: ST_BAD_INPUT (params),
 * ST_NO_MEMORY, ST_INTERNAL (other windows than in earlier rounds). */
MUST_CHECK status_t session_outlook_measure(struct session_rounds *rounds,
                                            const struct judgement *judgements, size_t n_judgements,
                                            const struct bootstrap_params *params,
                                            struct error *err);

/* Balanced accuracy that `z_min` standard deviations of a judge of coins do not reach. */
double session_outlook_floor(size_t n_firing, size_t n_silent, double z_min);

#endif
