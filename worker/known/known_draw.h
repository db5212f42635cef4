/* What the generator of known models draws, by purpose (common/draw.h). Only integers and exactly
 * rounded sums are used: equal seeds give equal bits on every machine. */
#ifndef WORKER_KNOWN_KNOWN_DRAW_H
#define WORKER_KNOWN_KNOWN_DRAW_H

#include "common/draw.h"

/* The numbers are part of what a model depends on: append, never renumber. */
enum known_purpose {
    RANDOM_DIRECTIONS = 1,
    RANDOM_HEAD_ORDER = 2,
    RANDOM_HEAD = 3,
    RANDOM_MLP = 4,
    RANDOM_BIAS = 5,
    RANDOM_PROMPTS = 6
};

static inline struct draw known_draw(uint64_t seed, enum known_purpose purpose, uint64_t subject)
{
    return draw_open(seed, (uint64_t)purpose, subject);
}

/* Mean 0, variance 1, nearly normal: twelve uniform numbers less six (their sum is exact). */
static inline double known_draw_normal(struct draw *draw)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += (double)(draw_next(draw) >> 16) * 0x1p-48;
    return sum;
}

#endif
