#include "worker/tasks/ablate_outcome.h"

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

struct ablate_outcome ablate_outcome_of_all(const struct ablate_answers *answers,
                                            const uint32_t *columns, size_t n_columns,
                                            const float *logits, const struct divergence *whole)
{
    double probability[2] = {0, 0};
    struct ablate_outcome out = ablate_outcome_of_columns(answers, columns, n_columns, logits);
    for (size_t i = 0; i < answers->n + answers->n_distractors; i++) {
        const float logit = logits[find(columns, n_columns, answers->ids[i])];
        probability[i >= answers->n] += exp((double)logit - whole->largest) / whole->sum;
    }
    out.answer_probability = probability[0];
    out.distractor_probability = probability[1];
    out.kl = whole->kl;
    return out;
}
