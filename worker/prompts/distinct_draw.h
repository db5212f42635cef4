/* Numbers drawn without repetition, in a seeded order. Pure; any thread. */
#ifndef WORKER_PROMPTS_DISTINCT_DRAW_H
#define WORKER_PROMPTS_DISTINCT_DRAW_H

#include "common/draw.h"
#include "common/error.h"

/* Uniform in [0, n); n > 0. */
uint64_t distinct_draw_below(struct draw *draw, uint64_t n);

/* out [n]: different numbers below n_possible, every choice as likely as any other; n is at most
 * n_possible, and at most 2^30. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t distinct_draw(struct draw *draw, uint64_t n_possible, size_t n, uint64_t *out,
                                  struct error *err);

#endif
