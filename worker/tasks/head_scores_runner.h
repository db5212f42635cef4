/* One unit of a head_scores task: the sequences in batches through the model, and of every head's
 * attention the sums that common/head_scores.h defines. One thread. */
#ifndef WORKER_TASKS_HEAD_SCORES_RUNNER_H
#define WORKER_TASKS_HEAD_SCORES_RUNNER_H

#include "common/head_scores.h"
#include "worker/prompts/repeated_tokens.h"
#include "worker/tasks/task_handler.h"

struct head_scores_runner;

/* On ST_OK the caller owns *out. Errors: what in spec or model is wrong. */
MUST_CHECK status_t head_scores_runner_open(struct head_scores_runner **out,
                                            const struct task_environment *environment,
                                            const json_t *spec, struct error *err);
void head_scores_runner_close(struct head_scores_runner **runner); /* NULL-safe */

/* On ST_OK the caller owns *out. Errors: ST_BAD_INPUT (a sequence longer than n_ctx, a token that
 * the model has not; repeated sequences where the spec has none), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t head_scores_runner_run(struct head_scores_runner *runner,
                                           const struct head_scores_unit *unit,
                                           struct head_scores_result *out, struct error *err);

#endif
