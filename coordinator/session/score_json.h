/* A value that may be undefined, as JSON: a number, or null. Any thread. */
#ifndef COORDINATOR_SESSION_SCORE_JSON_H
#define COORDINATOR_SESSION_SCORE_JSON_H

#include "coordinator/session/score.h"

#include <jansson.h>

/* The caller owns it; NULL without memory. */
json_t *score_value_json(struct score_value value);

#endif
