/* What the writing and the reading of generations agree on. Private to common/generate*.c. */
#ifndef COMMON_GENERATE_PARTS_H
#define COMMON_GENERATE_PARTS_H

#include "common/generate.h"

#include <stdbool.h>

enum {
    GENERATE_VERSION = 1,
    GENERATE_N_JOB_FIELDS = 9,
    GENERATE_N_INTERVENTION_FIELDS = 4,
    GENERATE_N_ANSWER_FIELDS = 5,
    GENERATE_N_PROMPT_FIELDS = 5,
    GENERATE_N_CHANGE_FIELDS = 4,
    GENERATE_TOKEN_BYTES = 4
};

/* Are the numbers of an answer, its parts' counts included, what they may be? */
bool generate_answer_is_sound(const struct generate_answer *answer);

#endif
