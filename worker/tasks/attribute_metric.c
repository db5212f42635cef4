#include "worker/tasks/attribute_metric.h"

#include <math.h>
#include <string.h>

status_t attribute_metric_parse(const char *name, enum attribute_metric *out, struct error *err)
{
    static const char *const names[ATTRIBUTE_N_METRICS] = {
        [ATTRIBUTE_LOGIT_DIFFERENCE] = "logit_difference",
        [ATTRIBUTE_PROBABILITY] = "probability",
        [ATTRIBUTE_PROBABILITY_DIFFERENCE] = "probability_difference",
        [ATTRIBUTE_KL] = "kl"};
    for (unsigned i = 0; i < ATTRIBUTE_N_METRICS; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (enum attribute_metric)i;
        return ST_OK;
    }
    return error_set(err, ST_BAD_INPUT,
                     "metric: \"%s\" has no slope: logit_difference, probability, "
                     "probability_difference and kl have",
                     name);
}

/* p(token) = exp(logit - largest) / sum */
struct distribution {
    const float *logits;
    double largest, sum;
};

static struct distribution distribution_of(const float *logits, size_t n)
{
    struct distribution out = {logits, (double)logits[0], 0};
    for (size_t i = 1; i < n; i++) out.largest = fmax(out.largest, (double)logits[i]);
    for (size_t i = 0; i < n; i++) out.sum += exp((double)logits[i] - out.largest);
    return out;
}

static double probability(const struct distribution *of, size_t token)
{
    return exp((double)of->logits[token] - of->largest) / of->sum;
}

/* Of sum_i sign_i p_i: d/d logit_j = p_j (sign_j - sum_i sign_i p_i); a token that is given twice
 * counts twice. */
static void probability_slope(const struct ablate_answers *answers, double distractor_sign,
                              size_t n_vocab, const float *logits, float *slope)
{
    const struct distribution p = distribution_of(logits, n_vocab);
    double total = 0;
    for (size_t i = 0; i < answers->n + answers->n_distractors; i++) {
        const double sign = i < answers->n ? 1 : distractor_sign;
        total += sign * probability(&p, answers->ids[i]);
        slope[answers->ids[i]] += (float)sign;
    }
    for (size_t i = 0; i < n_vocab; i++)
        slope[i] = (float)(probability(&p, i) * ((double)slope[i] - total));
}

static void logit_slope(const struct ablate_answers *answers, float *slope)
{
    for (size_t i = 0; i < answers->n; i++)
        slope[answers->ids[i]] += (float)(1 / (double)answers->n);
    for (size_t i = 0; i < answers->n_distractors; i++)
        slope[answers->ids[answers->n + i]] -= (float)(1 / (double)answers->n_distractors);
}

static void kl_slope(size_t n_vocab, const float *logits, const float *clean, float *slope)
{
    const struct distribution q = distribution_of(logits, n_vocab),
                              p = distribution_of(clean, n_vocab);
    for (size_t i = 0; i < n_vocab; i++)
        slope[i] = (float)(probability(&q, i) - probability(&p, i));
}

void attribute_metric_slope(enum attribute_metric metric, const struct ablate_answers *answers,
                            size_t n_vocab, const float *logits, const float *clean, float *slope)
{
    switch (metric) {
    case ATTRIBUTE_LOGIT_DIFFERENCE: logit_slope(answers, slope); break;
    case ATTRIBUTE_PROBABILITY: probability_slope(answers, 0, n_vocab, logits, slope); break;
    case ATTRIBUTE_PROBABILITY_DIFFERENCE:
        probability_slope(answers, -1, n_vocab, logits, slope);
        break;
    case ATTRIBUTE_KL: kl_slope(n_vocab, logits, clean, slope); break;
    }
}
