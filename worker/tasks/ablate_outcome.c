#include "worker/tasks/ablate_outcome.h"

#include "worker/tasks/logits.h"

#include <math.h>

/* Place of an id that is there. */
static size_t find(const uint32_t *columns, size_t n, uint32_t id)
{
    size_t low = 0, high = n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (columns[middle] <= id)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct ranking {
    float best_answer, best_distractor;
};

static void rank(struct ranking *ranking, bool is_answer, float logit)
{
    float *best = is_answer ? &ranking->best_answer : &ranking->best_distractor;
    if (logit > *best) *best = logit;
}

static double is_correct(const struct ranking *ranking)
{
    return ranking->best_answer > ranking->best_distractor ? 1.0 : 0.0;
}

struct ablate_outcome ablate_outcome_of_columns(const struct ablate_answers *answers,
                                                const uint32_t *columns, size_t n_columns,
                                                const float *logits)
{
    double sums[2] = {0, 0};
    struct ranking ranking = {-INFINITY, -INFINITY};
    for (size_t i = 0; i < answers->n + answers->n_distractors; i++) {
        const float logit = logits[find(columns, n_columns, answers->ids[i])];
        sums[i >= answers->n] += (double)logit;
        rank(&ranking, i < answers->n, logit);
    }
    return (struct ablate_outcome){.answer_logit = sums[0] / (double)answers->n,
                                   .distractor_logit = sums[1] / (double)answers->n_distractors,
                                   .answer_probability = NAN,
                                   .distractor_probability = NAN,
                                   .is_correct = is_correct(&ranking),
                                   .kl = NAN};
}

struct ablate_outcome ablate_outcome_of_all(const struct ablate_answers *answers, size_t n_vocab,
                                            const float *logits, const float *clean)
{
    double logit[2] = {0, 0}, probability[2] = {0, 0}, sum = 0;
    float largest = logits[0];
    struct ranking ranking = {-INFINITY, -INFINITY};
    for (size_t i = 1; i < n_vocab; i++) largest = logits[i] > largest ? logits[i] : largest;
    for (size_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - (double)largest);
    for (size_t i = 0; i < answers->n + answers->n_distractors; i++) {
        const float value = logits[answers->ids[i]];
        logit[i >= answers->n] += (double)value;
        probability[i >= answers->n] += exp((double)value - (double)largest) / sum;
        rank(&ranking, i < answers->n, value);
    }
    return (struct ablate_outcome){.answer_logit = logit[0] / (double)answers->n,
                                   .distractor_logit = logit[1] / (double)answers->n_distractors,
                                   .answer_probability = probability[0],
                                   .distractor_probability = probability[1],
                                   .is_correct = is_correct(&ranking),
                                   .kl = logits_kl(clean, logits, n_vocab)};
}
