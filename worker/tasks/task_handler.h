/* What a worker can do: one handler per task kind, found in one table.
 *
 * A handler is opened once per task from the task's SPEC (JSON, from the coordinator, hence
 * untrusted) and then runs units one by one. Handlers know models and math, and nothing of
 * leases, sockets or Redis. An opened task belongs to one run thread. */
#ifndef WORKER_TASKS_TASK_HANDLER_H
#define WORKER_TASKS_TASK_HANDLER_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/task.h"
#include "common/wire.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

struct model_cache;

/* What a worker offers to its handlers; shared by its run threads. */
struct task_environment {
    struct model_cache *models;
    _Atomic uint64_t *ticks; /* moved at least once per layer: proof that the thread works */
};

struct task_handler {
    enum task_kind kind;
    /* Errors of open: what in the spec, the model or the dictionary is wrong; every unit of the
     * task then fails with it. */
    status_t (*open)(void **task, const struct task_environment *environment, const json_t *spec,
                     struct error *err);
    /* Append the unit's result to `out`. `shared` is part 0 of the lease. */
    status_t (*run)(void *task, uint64_t unit, struct wire_text payload, struct wire_text shared,
                    struct buffer *out, struct error *err);
    void (*close)(void *task);
};

extern const struct task_handler noop_task_handler, describe_task_handler, tokenize_task_handler,
    capture_task_handler, probe_task_handler, logits_task_handler, generate_task_handler,
    ablate_task_handler, neighbours_task_handler, prompts_task_handler, attribute_task_handler,
    head_scores_task_handler;

/* ST_UNSUPPORTED if this worker has no handler of that kind. */
MUST_CHECK status_t task_handler_find(const char *kind, const struct task_handler **out,
                                      struct error *err);

#endif
