#include "coordinator/circuit/circuit_metric.h"

#include <math.h>
#include <string.h>

static const char *const METRICS[CIRCUIT_N_METRICS] = {
    [METRIC_LOGIT_DIFFERENCE] = "logit_difference",
    [METRIC_PROBABILITY] = "probability",
    [METRIC_PROBABILITY_DIFFERENCE] = "probability_difference",
    [METRIC_ACCURACY] = "accuracy",
    [METRIC_KL] = "kl"};

const char *circuit_metric_name(enum circuit_metric metric)
{
    return (unsigned)metric < CIRCUIT_N_METRICS ? METRICS[metric] : "unknown";
}

bool circuit_metric_parse(const char *text, size_t n_bytes, enum circuit_metric *out)
{
    for (int metric = 0; metric < CIRCUIT_N_METRICS; metric++) {
        if (strlen(METRICS[metric]) != n_bytes || memcmp(METRICS[metric], text, n_bytes) != 0)
            continue;
        *out = (enum circuit_metric)metric;
        return true;
    }
    return false;
}

static status_t check_finite(const float *values, size_t n, const char *what, struct error *err)
{
    if (n == 0) return error_set(err, ST_BAD_INPUT, "metric: no %s", what);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return error_set(err, ST_BAD_INPUT, "metric: %s[%zu] is not finite", what, i);
    return ST_OK;
}

static double mean_of(const float *values, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)values[i];
    return sum / (double)n;
}

static float largest_of(const float *values, size_t n)
{
    float largest = values[0];
    for (size_t i = 1; i < n; i++)
        if (values[i] > largest) largest = values[i];
    return largest;
}

static double probability_of(const float *logits, size_t n, double log_sum_exp)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - log_sum_exp);
    return sum;
}

status_t circuit_metric_value(enum circuit_metric metric, const struct metric_columns *columns,
                              double *out, struct error *err)
{
    const float *answers = columns->answers, *distractors = columns->distractors;
    const size_t n = columns->n_answers, n_distractors = columns->n_distractors;
    const bool is_probability =
        metric == METRIC_PROBABILITY || metric == METRIC_PROBABILITY_DIFFERENCE;
    status_t status = check_finite(answers, n, "answers", err);
    if (status == ST_OK) status = check_finite(distractors, n_distractors, "distractors", err);
    if (status != ST_OK) return status;
    if (is_probability && !isfinite(columns->log_sum_exp))
        return error_set(err, ST_BAD_INPUT, "metric: the log-sum-exp is not finite");
    switch (metric) {
    case METRIC_LOGIT_DIFFERENCE:
        *out = mean_of(answers, n) - mean_of(distractors, n_distractors);
        return ST_OK;
    case METRIC_PROBABILITY: *out = probability_of(answers, n, columns->log_sum_exp); return ST_OK;
    case METRIC_PROBABILITY_DIFFERENCE:
        *out = probability_of(answers, n, columns->log_sum_exp) -
               probability_of(distractors, n_distractors, columns->log_sum_exp);
        return ST_OK;
    case METRIC_ACCURACY:
        *out = largest_of(answers, n) > largest_of(distractors, n_distractors) ? 1.0 : 0.0;
        return ST_OK;
    case METRIC_KL: break;
    }
    return error_set(err, ST_BAD_INPUT, "metric: %s needs whole rows", circuit_metric_name(metric));
}

status_t circuit_metric_log_sum_exp(const float *logits, size_t n_vocab, double *out,
                                    struct error *err)
{
    const status_t status = check_finite(logits, n_vocab, "logits", err);
    if (status != ST_OK) return status;
    const double largest = (double)largest_of(logits, n_vocab);
    double sum = 0.0;
    for (size_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - largest);
    /* cppcheck-suppress invalidFunctionArg ; the largest logit alone adds 1 to the sum */
    *out = largest + log(sum);
    return ST_OK;
}

status_t circuit_metric_kl(const float *reference, const float *other, size_t n_vocab, double *out,
                           struct error *err)
{
    double of_reference, of_other, sum = 0.0;
    status_t status = circuit_metric_log_sum_exp(reference, n_vocab, &of_reference, err);
    if (status == ST_OK) status = circuit_metric_log_sum_exp(other, n_vocab, &of_other, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n_vocab; i++) {
        const double log_p = (double)reference[i] - of_reference;
        sum += exp(log_p) * (log_p - ((double)other[i] - of_other));
    }
    *out = sum > 0.0 ? sum : 0.0; /* rounding alone makes it negative */
    return ST_OK;
}
