/* Seeded draws: every choice at random, repeatable on any machine.
 *
 * splitmix64 over a counter (hash.h). A stream is named by (seed, purpose, subject), for instance
 * (sweep seed, DRAW_FUZZ, feature), so that one choice never shifts another; who draws lists its
 * purposes (coordinator/session/draw.h, worker/known/known_draw.h). Integers only: no rounding
 * differs between machines. A value belongs to one thread. */
#ifndef COMMON_DRAW_H
#define COMMON_DRAW_H

#include "common/hash.h"

#include <stddef.h>
#include <stdint.h>

struct draw {
    uint64_t state;
};

static inline struct draw draw_open(uint64_t seed, uint64_t purpose, uint64_t subject)
{
    const uint64_t named = hash_mix64(seed ^ hash_mix64(purpose));
    return (struct draw){hash_mix64(named ^ hash_mix64(subject))};
}

static inline uint64_t draw_next(struct draw *draw)
{
    const uint64_t value = hash_mix64(draw->state);
    draw->state += 0x9e3779b97f4a7c15u;
    return value;
}

/* Uniform in [0, n), exactly (Lemire 2019, with rejection); 0 if n is 0. */
static inline uint32_t draw_below(struct draw *draw, uint32_t n)
{
    if (n == 0) return 0;
    const uint32_t reject_below = (uint32_t)-n % n;
    for (;;) {
        const uint64_t product = (draw_next(draw) >> 32) * n;
        if ((uint32_t)product >= reject_below) return (uint32_t)(product >> 32);
    }
}

/* Fisher-Yates. */
static inline void draw_shuffle(struct draw *draw, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = draw_below(draw, (uint32_t)i);
        const uint32_t swapped = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swapped;
    }
}

#endif
