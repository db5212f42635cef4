/* Runs the variants of ablate units over the prompts of one spec (ablate_prompts.h):
 *
 *   "model", "shuffle_seed" (optional: model_spec.h), "fingerprint", "compute",
 *   "dictionaries" (optional: ablate_features.h),
 *   "mean": "overall" | "position" | "template",
 *   "vocabulary": true: whole distributions, else answer logits alone,
 *   "naive": true: a whole pass for every variant (variants.h), for comparison
 *
 * A spec is untrusted, and so are units. Belongs to one run thread. */
#ifndef WORKER_TASKS_ABLATE_RUNNER_H
#define WORKER_TASKS_ABLATE_RUNNER_H

#include "common/ablate.h"
#include "worker/tasks/task_handler.h"

struct ablate_runner;

/* On ST_OK the caller owns *out. Errors: what in spec or model is wrong or does not fit. */
MUST_CHECK status_t ablate_runner_open(struct ablate_runner **out,
                                       const struct task_environment *environment,
                                       const json_t *spec, struct error *err);
void ablate_runner_close(struct ablate_runner **runner); /* NULL-safe */

/* On ST_OK the caller owns *out (ablate_result_fini). Errors: ST_BAD_INPUT (a change that does not
 * lie in the model; a mean without reference prompts; logits that are not finite), ST_NO_MEMORY. */
MUST_CHECK status_t ablate_runner_run(struct ablate_runner *runner, const struct ablate_unit *unit,
                                      struct ablate_result *out, struct error *err);

#endif
