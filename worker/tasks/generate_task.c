/* generate: prompts -> their continuations, clean and with interventions (common/generate.h).
 *
 * Spec: {"kind":"generate"} and what subject.h names; n_ctx: the longest row that is wanted,
 * lowered to the model's positions. A unit's payload is a job, its result the answer. */
#include "worker/tasks/task_handler.h"

#include "worker/tasks/generate_runner.h"
#include "worker/tasks/subject.h"

#include <stdlib.h>

struct generate_task {
    struct task_environment environment;
    json_t *spec;   /* owned reference */
    uint64_t stamp; /* of the files that the runner has open */
    struct generate_runner *runner;
};

/* Opened, or opened anew where the files were written again. */
static status_t refresh(struct generate_task *task, struct error *err)
{
    uint64_t stamp;
    status_t status = subject_stamp(task->spec, &stamp, err);
    if (status != ST_OK || (task->runner && stamp == task->stamp)) return status;
    generate_runner_close(&task->runner);
    status = generate_runner_open(&task->runner, &task->environment, task->spec, err);
    task->stamp = stamp;
    return status;
}

static void generate_close(void *context)
{
    struct generate_task *task = context;
    generate_runner_close(&task->runner);
    json_decref(task->spec);
    free(task);
}

static status_t generate_open(void **out, const struct task_environment *environment,
                              const json_t *spec, struct error *err)
{
    struct generate_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "generate task");
    task->environment = *environment;
    task->spec = json_deep_copy(spec);
    const status_t status =
        task->spec ? refresh(task, err) : error_set(err, ST_NO_MEMORY, "generate task");
    if (status == ST_OK)
        *out = task;
    else
        generate_close(task);
    return status;
}

static status_t generate_run(void *context, uint64_t unit_index, struct wire_text payload,
                             struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct generate_task *task = context;
    struct generate_job job;
    struct generate_answer answer = {0};
    status_t status = generate_job_decode(payload.bytes, payload.n_bytes, &job, err);
    if (status == ST_OK) status = refresh(task, err);
    if (status == ST_OK) status = generate_runner_run(task->runner, &job, &answer, err);
    if (status == ST_OK) status = generate_answer_encode(&answer, out, err);
    generate_answer_fini(&answer);
    return status;
}

const struct task_handler generate_task_handler = {TASK_GENERATE, generate_open, generate_run,
                                                   generate_close};
