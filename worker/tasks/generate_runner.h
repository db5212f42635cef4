/* Generations on one open model (generate_task.c has the spec): strengths found, continuations
 * drawn, clean and steered.
 *
 *   prompts -> rows [clean, steered] x pairs, padded to a fixed shape -> search of the strength
 *           -> KL and changed tokens behind the prompts -> continuations, a token a pass
 *
 * Every pass has the clean row beside the steered one, so an intervention that changes nothing has
 * a KL of exactly 0. There is no cache of keys and values: each token is drawn from a whole pass,
 * whose products run in the same row blocks whatever the shape, so what is drawn depends on neither
 * shape nor neighbours, and one backend and instruction set give the same bytes anywhere. Belongs
 * to one run thread. */
#ifndef WORKER_TASKS_GENERATE_RUNNER_H
#define WORKER_TASKS_GENERATE_RUNNER_H

#include "common/generate.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/task_handler.h"

struct generate_runner;

/* Errors: what in spec, model, tokenizer or dictionaries is wrong or does not fit. */
MUST_CHECK status_t generate_runner_open(struct generate_runner **out,
                                         const struct task_environment *environment,
                                         const json_t *spec, struct error *err);
void generate_runner_close(struct generate_runner **runner); /* NULL-safe */

/* Do the job. What the user can mend (a prompt that is too long, a slot that cannot be steered, a
 * feature without effect) is an error within the answer. On ST_OK the caller owns *out. Errors:
 * ST_NO_MEMORY and what the backend says. */
MUST_CHECK status_t generate_runner_run(struct generate_runner *runner,
                                        const struct generate_job *job, struct generate_answer *out,
                                        struct error *err);

#endif
