/* probe: texts -> the activations of one slot each on their tokens (common/probe.h).
 *
 * Spec: {"kind":"probe","n_rows":N} and what subject.h names. n_rows, n_ctx: the batch shape of the
 * capture that is to be matched; bos: "auto", "true", "false" as in a sweep's corpus. */
#include "worker/tasks/task_handler.h"

#include "worker/tasks/probe_runner.h"
#include "worker/tasks/subject.h"

#include <stdlib.h>

struct probe_task {
    struct task_environment environment;
    json_t *spec;   /* owned reference */
    uint64_t stamp; /* of the files that the runner has open */
    struct probe_runner *runner;
};

/* Opened, or opened anew where the files were written again. */
static status_t refresh(struct probe_task *task, struct error *err)
{
    uint64_t stamp;
    status_t status = subject_stamp(task->spec, &stamp, err);
    if (status != ST_OK || (task->runner && stamp == task->stamp)) return status;
    probe_runner_close(&task->runner);
    status = probe_runner_open(&task->runner, &task->environment, task->spec, err);
    task->stamp = stamp;
    return status;
}

static void probe_close(void *context)
{
    struct probe_task *task = context;
    probe_runner_close(&task->runner);
    json_decref(task->spec);
    free(task);
}

static status_t probe_open(void **out, const struct task_environment *environment,
                           const json_t *spec, struct error *err)
{
    struct probe_task *task = calloc(1, sizeof *task);
    if (!task) return error_set(err, ST_NO_MEMORY, "probe task");
    task->environment = *environment;
    task->spec = json_deep_copy(spec);
    const status_t status =
        task->spec ? refresh(task, err) : error_set(err, ST_NO_MEMORY, "probe task");
    if (status == ST_OK)
        *out = task;
    else
        probe_close(task);
    return status;
}

static status_t probe_run(void *context, uint64_t unit_index, struct wire_text payload,
                          struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct probe_task *task = context;
    struct probe_unit unit;
    status_t status = probe_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status == ST_OK) status = refresh(task, err);
    return status == ST_OK ? probe_runner_run(task->runner, &unit, out, err) : status;
}

const struct task_handler probe_task_handler = {TASK_PROBE, probe_open, probe_run, probe_close};
