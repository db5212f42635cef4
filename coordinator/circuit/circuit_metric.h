/* What a prompt's answer is worth, from logits at its answer position.
 *
 *   logit difference        mean of the answers' logits - mean of the distractors' (several:
 *                           alternatives, as auto-circuit takes them; one each: Wang et al.)
 *   probability             sum of the answers' softmax probabilities over the vocabulary
 *   probability difference  that of the answers - that of the distractors (greater-than)
 *   accuracy                1 if the best answer's logit is above every distractor's, else 0;
 *                           averaged over prompts it is the share of right ones
 *   KL                      sum over the vocabulary of p log(p / q), p of the reference run: in
 *                           nats, one value a prompt (ACDC's; MIB's is this / n_vocab)
 *
 * Only answer columns and the row's log-sum-exp are needed, but for KL the whole row. Sums are
 * in double precision. A logit that is not finite is an error, never a NaN further on. Pure; any
 * thread. */
#ifndef COORDINATOR_CIRCUIT_CIRCUIT_METRIC_H
#define COORDINATOR_CIRCUIT_CIRCUIT_METRIC_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum circuit_metric {
    METRIC_LOGIT_DIFFERENCE,
    METRIC_PROBABILITY,
    METRIC_PROBABILITY_DIFFERENCE,
    METRIC_ACCURACY,
    METRIC_KL
};
enum { CIRCUIT_N_METRICS = METRIC_KL + 1 };

/* "logit_difference", "probability", "probability_difference", "accuracy", "kl". */
const char *circuit_metric_name(enum circuit_metric metric);
/* True, and *out set, if the n_bytes are one of these names. */
bool circuit_metric_parse(const char *text, size_t n_bytes, enum circuit_metric *out);

/* The answer columns of one prompt. */
struct metric_columns {
    const float *answers;     /* [n_answers], n_answers >= 1 */
    const float *distractors; /* [n_distractors], n_distractors >= 1 */
    size_t n_answers, n_distractors;
    double log_sum_exp; /* of the whole row; read for probabilities only */
};

/* Errors: ST_BAD_INPUT (no answer or distractor; a number that is not finite; METRIC_KL, which
 * columns cannot give). */
MUST_CHECK status_t circuit_metric_value(enum circuit_metric metric,
                                         const struct metric_columns *columns, double *out,
                                         struct error *err);

/* log(sum(exp(logits))), logits [n_vocab]. Errors: ST_BAD_INPUT (empty, not finite). */
MUST_CHECK status_t circuit_metric_log_sum_exp(const float *logits, size_t n_vocab, double *out,
                                               struct error *err);

/* KL(reference, other) of two rows [n_vocab]: 0 for equal ones, never below it. Errors:
 * ST_BAD_INPUT (empty, not finite). */
MUST_CHECK status_t circuit_metric_kl(const float *reference, const float *other, size_t n_vocab,
                                      double *out, struct error *err);

#endif
