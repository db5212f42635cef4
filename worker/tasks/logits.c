#include "worker/tasks/logits.h"

#include "kernels/divergence.h"

#include <math.h>
#include <string.h>

bool logits_are_finite(const float *logits, size_t n_vocab)
{
    for (size_t i = 0; i < n_vocab; i++)
        if (!isfinite(logits[i])) return false;
    return true;
}

static double max_of(const float *logits, size_t n)
{
    float max = logits[0];
    for (size_t i = 1; i < n; i++) max = logits[i] > max ? logits[i] : max;
    return (double)max;
}

/* log(sum(exp(logits))) */
static double log_sum(const float *logits, size_t n)
{
    const double max = max_of(logits, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    return sum > 0 ? max + log(sum) : max; /* 1 at least, where there is any token */
}

double logits_kl(const float *clean, const float *steered, size_t n_vocab)
{
    return divergence_of_rows(clean, steered, n_vocab).kl;
}

static uint32_t largest(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return (uint32_t)best;
}

uint32_t logits_draw(const float *logits, size_t n_vocab, double temperature, double place)
{
    if (!(temperature > 0)) return largest(logits, n_vocab);
    const double max = max_of(logits, n_vocab);
    double sum = 0, passed = 0;
    size_t last = 0; /* that has any probability */
    for (size_t i = 0; i < n_vocab; i++) sum += exp(((double)logits[i] - max) / temperature);
    for (size_t i = 0; i < n_vocab; i++) {
        const double weight = exp(((double)logits[i] - max) / temperature);
        passed += weight;
        if (weight > 0) last = i;
        if (passed > place * sum) return (uint32_t)i;
    }
    return (uint32_t)last;
}

size_t logits_changes(const float *clean, const float *steered, size_t n_vocab,
                      struct logits_change *out, size_t max)
{
    const double clean_log = log_sum(clean, n_vocab), steered_log = log_sum(steered, n_vocab);
    size_t n = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        const struct logits_change change = {(uint32_t)i, exp((double)clean[i] - clean_log),
                                             exp((double)steered[i] - steered_log)};
        const double by = fabs(change.p_steered - change.p_clean);
        if (clean[i] == steered[i] && clean_log == steered_log) continue;
        size_t at = n;
        while (at > 0 && fabs(out[at - 1].p_steered - out[at - 1].p_clean) < by) at--;
        if (by == 0 || at == max) continue;
        const size_t n_moved = (n < max ? n : max - 1) - at;
        memmove(out + at + 1, out + at, n_moved * sizeof *out);
        out[at] = change;
        n += n < max;
    }
    return n;
}
