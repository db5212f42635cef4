/* Experiments that are no experiments: texts that an agent copied from the examples it was shown.
 * What the model does on those is known, so they would come out as predicted under any label, and
 * an adversarial round of copies would prove nothing.
 *
 * A text of COPIED_LEAST_WORDS words or more is a copy if it stands, as a whole, in an explain
 * window of the case: letter by letter, but for case and white space. Shorter texts (a word or
 * two) may stand in many places. Pure; any thread. */
#ifndef COORDINATOR_SESSION_COPIED_EXAMPLES_H
#define COORDINATOR_SESSION_COPIED_EXAMPLES_H

#include "coordinator/session/experiments.h"
#include "coordinator/session/feature_case.h"

enum { COPIED_LEAST_WORDS = 4 };

/* Drop and count the copies. `feature_case` has CASE_PART_EXPLAIN. Errors: ST_NO_MEMORY,
 * ST_TOO_LARGE. */
MUST_CHECK status_t copied_examples_drop(struct experiments *experiments,
                                         const struct feature_case *feature_case,
                                         const struct token_texts *texts, struct error *err);

#endif
