/* Slopes of metrics against central differences of the metrics in double. */
#include "worker/tasks/attribute_metric.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { N_VOCAB = 9 };
static const float clean[N_VOCAB] = {0.5f, -1, 2, 0, 1, -0.25f, 3, 0.125f, -2};
static const float logits[N_VOCAB] = {1, -1, 0.5f, 2, 0.25f, 0, 1.5f, -0.75f, -3};
static uint32_t ids[] = {2, 6, 3, 0, 3}; /* two answers; three distractors, one of them twice */
static const struct ablate_answers answers = {ids, 2, 3};

static double metric_at(enum attribute_metric metric, const double *at)
{
    double sum = 0, clean_sum = 0, kl = 0, logit[2] = {0, 0}, p[2] = {0, 0};
    for (size_t i = 0; i < N_VOCAB; i++) sum += exp(at[i]);
    for (size_t i = 0; i < N_VOCAB; i++) clean_sum += exp((double)clean[i]);
    for (size_t i = 0; i < 5; i++) {
        logit[i >= 2] += at[ids[i]];
        p[i >= 2] += exp(at[ids[i]]) / sum;
    }
    for (size_t i = 0; i < N_VOCAB; i++) {
        const double log_p = (double)clean[i] - log(clean_sum);
        kl += exp(log_p) * (log_p - at[i] + log(sum));
    }
    switch (metric) {
    case ATTRIBUTE_LOGIT_DIFFERENCE: return logit[0] / 2 - logit[1] / 3;
    case ATTRIBUTE_PROBABILITY: return p[0];
    case ATTRIBUTE_PROBABILITY_DIFFERENCE: return p[0] - p[1];
    case ATTRIBUTE_KL: return kl;
    }
    return NAN;
}

Test(attribute_metric, slopes_are_those_of_the_metrics)
{
    for (unsigned metric = 0; metric < ATTRIBUTE_N_METRICS; metric++) {
        float slope[N_VOCAB] = {0};
        double at[N_VOCAB];
        attribute_metric_slope((enum attribute_metric)metric, &answers, N_VOCAB, logits, clean,
                               slope);
        for (size_t i = 0; i < N_VOCAB; i++) at[i] = (double)logits[i];
        for (size_t i = 0; i < N_VOCAB; i++) {
            at[i] += 1e-5;
            const double above = metric_at((enum attribute_metric)metric, at);
            at[i] -= 2e-5;
            const double want = (above - metric_at((enum attribute_metric)metric, at)) / 2e-5;
            at[i] += 1e-5;
            cr_expect_float_eq((double)slope[i], want, 1e-7, "metric %u, token %zu", metric, i);
        }
    }
}

Test(attribute_metric, kl_is_flat_at_the_clean_run)
{
    float slope[N_VOCAB] = {0};
    attribute_metric_slope(ATTRIBUTE_KL, &answers, N_VOCAB, clean, clean, slope);
    for (size_t i = 0; i < N_VOCAB; i++) cr_expect_eq(slope[i], 0);
}

Test(attribute_metric, names_are_known_and_others_refused)
{
    enum attribute_metric metric;
    struct error err = {0};
    cr_assert_eq(attribute_metric_parse("probability_difference", &metric, &err), ST_OK);
    cr_expect_eq(metric, ATTRIBUTE_PROBABILITY_DIFFERENCE);
    cr_expect_eq(attribute_metric_parse("accuracy", &metric, &err), ST_BAD_INPUT);
    cr_expect(strstr(err.text, "accuracy"), "%s", err.text);
}
