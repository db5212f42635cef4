/* probe: texts -> the activations of one slot each on their tokens (common/probe.h).
 *
 * Spec: {"kind":"probe","model":DIR,"shuffle_seed" (optional: model_spec.h),"fingerprint":HEX,
 *        "compute":C,"n_rows":N,"n_ctx":N,"bos":B,"with_pieces":BOOL,"targets":[{"hook",
 *        "units","dictionary","fingerprint","features","n_slots"}]}
 * n_rows, n_ctx: the batch shape of the capture that is to be matched; B: "auto", "true", "false"
 * as in a sweep's corpus. A task stays open over many units and over other tasks of its spec
 * (run_thread.c), so each unit looks whether the files are still those that were opened. */
#include "worker/tasks/task_handler.h"

#include "common/hash.h"
#include "worker/model/fingerprint.h"
#include "worker/tasks/probe_runner.h"
#include "worker/tasks/spec.h"

#include <stdlib.h>

struct probe_task {
    struct task_environment environment;
    json_t *spec;   /* owned reference */
    uint64_t stamp; /* of the files that the runner has open */
    struct probe_runner *runner;
};

/* A number of model and dictionaries as they are on disk. */
static status_t read_stamp(const json_t *spec, uint64_t *out, struct error *err)
{
    const char *directory;
    const json_t *targets = json_object_get(spec, "targets");
    status_t status = spec_text(spec, "model", &directory, err);
    if (status == ST_OK) status = fingerprint_stamp(directory, out, err);
    for (size_t i = 0; i < json_array_size(targets) && status == ST_OK; i++) {
        uint64_t stamp;
        directory = json_string_value(json_object_get(json_array_get(targets, i), "dictionary"));
        if (!directory) continue;
        status = fingerprint_stamp(directory, &stamp, err);
        if (status == ST_OK) *out = hash_mix64(*out ^ stamp);
    }
    return status;
}

/* Opened, or opened anew where the files were written again. */
static status_t refresh(struct probe_task *task, struct error *err)
{
    uint64_t stamp;
    status_t status = read_stamp(task->spec, &stamp, err);
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
