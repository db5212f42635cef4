/* What can be said of a feature before any label: one status, from counts alone.
 *
 *   dead          it never fired, in any split
 *   insufficient  it fired in fewer than 20 test documents: labelled, no score claimed
 *   dense         it fires on more than half of all tokens
 *   position      the position in the row alone predicts it
 *   token         one token type alone predicts it
 *   open          none of these: a session may explain it
 *
 * Exactly one status per feature; the first that holds, from the top, is it. Insufficient stands
 * before dense, position and token because those are claims, and claims need documents; so the
 * statuses that may be scored are dense, position, token and open, and only token and open can
 * be supported (reference: statistics.md 1, 3). "Predicts" is F1 over tokens of the best
 * predictor that knows nothing else. Pure; any thread. */
#ifndef COORDINATOR_SESSION_TRIAGE_H
#define COORDINATOR_SESSION_TRIAGE_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum feature_status {
    FEATURE_DEAD,
    FEATURE_INSUFFICIENT,
    FEATURE_DENSE,
    FEATURE_POSITION,
    FEATURE_TOKEN,
    FEATURE_OPEN
};
enum { FEATURE_N_STATUSES = 6 };

/* "dead", ...; NULL for anything else. feature_status_parse() returns false for other text. */
const char *feature_status_name(enum feature_status status);
bool feature_status_parse(const char *name, enum feature_status *out);

/* May a label of such a feature be called supported? May its score be claimed? */
bool feature_status_can_be_supported(enum feature_status status);
bool feature_status_claims_score(enum feature_status status);

struct triage_thresholds {
    uint32_t min_test_documents; /* 20 */
    double dense_share;          /* 0.5: dense above it */
    double position_f1;          /* 0.9: at least */
    double token_f1;             /* 0.9: at least */
};
struct triage_thresholds triage_thresholds_default(void);
/* ST_BAD_INPUT names a threshold outside [0, 1]. */
MUST_CHECK status_t triage_thresholds_check(const struct triage_thresholds *thresholds,
                                            struct error *err);

struct triage_input {
    uint64_t n_tokens;         /* of all splits that were captured */
    uint64_t n_firing_tokens;  /* of those */
    uint32_t n_test_documents; /* with firing tokens; a lower bound is enough above the limit */
    double position_f1;        /* of the best predictor by position, validate split */
    double token_f1;           /* of the best single token type, validate split */
};

enum feature_status triage(const struct triage_input *input,
                           const struct triage_thresholds *thresholds);

#endif
