/* What a variant's logits say of a prompt: the fields of struct ablate_outcome. Pure. */
#ifndef WORKER_TASKS_ABLATE_OUTCOME_H
#define WORKER_TASKS_ABLATE_OUTCOME_H

#include "kernels/backend.h"
#include "worker/tasks/ablate_prompts.h"

/* From the logits of `columns` [n_columns], ascending token ids, alone: what needs the whole
 * vocabulary is NaN. */
struct ablate_outcome ablate_outcome_of_columns(const struct ablate_answers *answers,
                                                const uint32_t *columns, size_t n_columns,
                                                const float *logits);
/* Likewise, and with what the whole vocabulary says beside the clean run's: `whole`. */
struct ablate_outcome ablate_outcome_of_all(const struct ablate_answers *answers,
                                            const uint32_t *columns, size_t n_columns,
                                            const float *logits, const struct divergence *whole);

#endif
