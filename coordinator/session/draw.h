/* What a session draws at random, by purpose (common/draw.h). */
#ifndef COORDINATOR_SESSION_DRAW_H
#define COORDINATOR_SESSION_DRAW_H

#include "common/draw.h"

/* Purposes; the numbers are part of what results depend on: append, never renumber. */
enum draw_purpose {
    DRAW_SELECT = 1,
    DRAW_DETECTION = 2,
    DRAW_FUZZ = 3,
    DRAW_BOOTSTRAP = 4,
    DRAW_NULL_PAIRS = 5,
    DRAW_CONTROL = 6,
    DRAW_CHECK = 7,
    DRAW_AUDIT = 8,
    DRAW_CIRCUIT = 9,
    DRAW_INTERVENTION = 10,
    DRAW_VERDICT = 11
};

static inline struct draw draw_stream(uint64_t seed, enum draw_purpose purpose, uint64_t subject)
{
    return draw_open(seed, (uint64_t)purpose, subject);
}

#endif
