/* Units of probes on one open model (probe_task.c has the spec).
 *
 * A text is a row of its own behind BOS, cut at n_ctx; it runs in the smallest of a few fixed,
 * padded shapes that holds it. All of them have the row block of the capture's batch [n_rows,
 * n_ctx], so a token has the activation that capture gives it, bit for bit, whatever shares its
 * batch. A text that the model cannot run is answered with an error; it does not take its
 * neighbours along. Belongs to one run thread. */
#ifndef WORKER_TASKS_PROBE_RUNNER_H
#define WORKER_TASKS_PROBE_RUNNER_H

#include "common/probe.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/task_handler.h"

struct probe_runner;

/* Errors: what in spec, model, tokenizer or dictionaries is wrong or does not fit. */
MUST_CHECK status_t probe_runner_open(struct probe_runner **out,
                                      const struct task_environment *environment,
                                      const json_t *spec, struct error *err);
void probe_runner_close(struct probe_runner **runner); /* NULL-safe */

/* Append the unit's result. Errors: ST_PROTOCOL (a target that does not exist), ST_BAD_INPUT (a
 * slot that does not), ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t probe_runner_run(struct probe_runner *runner, const struct probe_unit *unit,
                                     struct buffer *out, struct error *err);

#endif
