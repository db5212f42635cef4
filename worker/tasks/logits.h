/* What logits [n_vocab] say: distributions compared, tokens drawn. Sums are in double, in ascending
 * order of tokens, so equal logits give equal results. Pure. */
#ifndef WORKER_TASKS_LOGITS_H
#define WORKER_TASKS_LOGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool logits_are_finite(const float *logits, size_t n_vocab);

/* KL(p || q) in nats, p = softmax(clean), q = softmax(steered); 0 where the rows are equal, never
 * below 0; NaN where a logit is not finite. */
double logits_kl(const float *clean, const float *steered, size_t n_vocab);

/* The token at `place` in [0, 1) of the cumulated softmax(logits / temperature); temperature 0: the
 * largest logit, ties to the lower token. */
uint32_t logits_draw(const float *logits, size_t n_vocab, double temperature, double place);

/* The tokens whose probability differs most, the largest difference first, ties to the lower
 * token; differences of 0 are left out. Returns how many, at most `max`. */
struct logits_change {
    uint32_t token;
    double p_clean, p_steered;
};
size_t logits_changes(const float *clean, const float *steered, size_t n_vocab,
                      struct logits_change *out, size_t max);

#endif
