/* Slopes of a prompt's metric by its logits, for attribution (common/attribute.h). Sums are in
 * double, in ascending order of tokens. Pure.
 *
 *   logit_difference        mean of the answers' logits - mean of the distractors'
 *   probability             sum of the answers' probabilities
 *   probability_difference  that of the answers - that of the distractors
 *   kl                      KL(clean || this run); its slope is 0 at the clean run itself, so only
 *                           runs between corrupted and clean say something */
#ifndef WORKER_TASKS_ATTRIBUTE_METRIC_H
#define WORKER_TASKS_ATTRIBUTE_METRIC_H

#include "worker/tasks/ablate_prompts.h"

enum attribute_metric {
    ATTRIBUTE_LOGIT_DIFFERENCE,
    ATTRIBUTE_PROBABILITY,
    ATTRIBUTE_PROBABILITY_DIFFERENCE,
    ATTRIBUTE_KL
};
enum { ATTRIBUTE_N_METRICS = ATTRIBUTE_KL + 1 };

/* By the names above. Errors: ST_BAD_INPUT names the choices. */
MUST_CHECK status_t attribute_metric_parse(const char *name, enum attribute_metric *out,
                                           struct error *err);

/* slope [n_vocab], zeroed by the caller, of the metric at logits [n_vocab]; clean [n_vocab] are
 * those of the clean run. Every id of answers lies below n_vocab. */
void attribute_metric_slope(enum attribute_metric metric, const struct ablate_answers *answers,
                            size_t n_vocab, const float *logits, const float *clean, float *slope);

#endif
