/* For tests of task handlers: a backend and a model cache as a worker has them, and a task that is
 * open, or run once. */
#ifndef TESTS_UNIT_TASK_WORLD_H
#define TESTS_UNIT_TASK_WORLD_H

#include "common/ablate.h"
#include "worker/tasks/model_cache.h"
#include "worker/tasks/task_handler.h"

struct task_world {
    struct backend *backend;
    struct model_cache *models;
    atomic_uint_fast64_t ticks;
    struct error err; /* of what was called last */
    const struct task_handler *handler;
    void *task; /* the one that is open; NULL: none */
};

/* On the backend of that name; NULL: on that of any_backend.h. */
void task_world_open(struct task_world *world, const char *backend);
void task_world_close(struct task_world *world);

/* n prompts of n_ctx tokens below 113, clean and corrupted, answered at their last position; the
 * caller's. */
json_t *task_world_prompts(int n, int n_ctx);
/* The spec of a capture of golden dictionary "standard" in golden model "gpt2-bare-names", the same
 * limits in every split: windows of 8 tokens, of 4 at least. */
json_t *task_world_capture(int n_rows, int n_ctx, int top_k, int bin_k);

struct task_environment task_world_environment(struct task_world *world);

/* Open a task of `spec` (taken) in the place of the one that is open. */
MUST_CHECK status_t task_world_open_task(struct task_world *world,
                                         const struct task_handler *handler, json_t *spec);
void task_world_close_task(struct task_world *world); /* fine without */
/* Run a unit of these bytes; `out` has a cap. */
MUST_CHECK status_t task_world_run_unit(struct task_world *world, struct wire_text payload,
                                        struct buffer *out);

/* Open a task of `spec` (taken), run one unit of these bytes, close it: the first error there is,
 * in world->err too. `out` has a cap. */
MUST_CHECK status_t task_world_run(struct task_world *world, const struct task_handler *handler,
                                   json_t *spec, struct wire_text payload, struct buffer *out);
/* The same of the ablate handler; on ST_OK the caller ends *out. */
MUST_CHECK status_t task_world_ablate(struct task_world *world, json_t *spec,
                                      const struct ablate_unit *unit, struct ablate_result *out);

#endif
