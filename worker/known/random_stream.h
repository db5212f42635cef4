/* Seeded draws of the generator of known models: splitmix64 over a counter (common/hash.h).
 *
 * A stream is named by (seed, purpose, subject), so that one choice never shifts another. Only
 * integers and exactly rounded sums are used: equal seeds give equal bits on every machine.
 * A value belongs to one thread. */
#ifndef WORKER_KNOWN_RANDOM_STREAM_H
#define WORKER_KNOWN_RANDOM_STREAM_H

#include "common/hash.h"

#include <stddef.h>
#include <stdint.h>

/* The numbers are part of what a model depends on: append, never renumber. */
enum random_purpose {
    RANDOM_DIRECTIONS = 1,
    RANDOM_HEAD_ORDER = 2,
    RANDOM_HEAD = 3,
    RANDOM_MLP = 4,
    RANDOM_BIAS = 5,
    RANDOM_PROMPTS = 6
};

struct random_stream {
    uint64_t state;
};

static inline struct random_stream random_stream_open(uint64_t seed, enum random_purpose purpose,
                                                      uint64_t subject)
{
    const uint64_t named = hash_mix64(seed ^ hash_mix64((uint64_t)purpose));
    return (struct random_stream){hash_mix64(named ^ hash_mix64(subject))};
}

static inline uint64_t random_next(struct random_stream *stream)
{
    const uint64_t value = hash_mix64(stream->state);
    stream->state += 0x9e3779b97f4a7c15u;
    return value;
}

/* Uniform in [0, n), exactly (Lemire 2019, with rejection); 0 if n is 0. */
static inline uint32_t random_below(struct random_stream *stream, uint32_t n)
{
    if (n == 0) return 0;
    const uint32_t reject_below = (uint32_t)-n % n;
    for (;;) {
        const uint64_t product = (random_next(stream) >> 32) * n;
        if ((uint32_t)product >= reject_below) return (uint32_t)(product >> 32);
    }
}

/* Mean 0, variance 1, nearly normal: twelve uniform numbers less six (their sum is exact). */
static inline double random_normal(struct random_stream *stream)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += (double)(random_next(stream) >> 16) * 0x1p-48;
    return sum;
}

/* Fisher-Yates. */
static inline void random_shuffle(struct random_stream *stream, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = random_below(stream, (uint32_t)i);
        const uint32_t swapped = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swapped;
    }
}

#endif
