/* Phase 1: a worker tells what model and dictionaries are, while the corpus is read here. */
#include "coordinator/sweep/label_run.h"
#include "coordinator/sweep/label_scoring.h"

static status_t take_description(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                                 struct error *err)
{
    (void)unit;
    struct label_run *run = task->owner;
    status_t status = description_decode(bytes, n_bytes, &run->description, err);
    if (status != ST_OK) return status;
    run->has_description = true;
    if (run->description.n_targets != run->sweep->spec->n_targets)
        return error_set(err, ST_CORRUPT, "description of %zu targets, %zu were asked for",
                         run->description.n_targets, run->sweep->spec->n_targets);
    return ST_OK;
}

static const struct task_ops describe_ops = {.result = take_description};

static status_t describe_begin(struct label_run *run, struct error *err)
{
    status_t status = label_scoring_preflight(run, err);
    if (status != ST_OK) return status;
    const struct sweep_task_params params = {.phase = LABEL_FIRST_TASK,
                                             .kind = TASK_DESCRIBE,
                                             .n_units = 1,
                                             .ops = &describe_ops,
                                             .is_new = sweep_take_new_task(run->sweep)};
    status = label_task_begin(run, params, err);
    return status == ST_OK ? label_corpus_read(run, err) : status;
}

const struct label_phase_ops label_describe_phase = {"describe", describe_begin, label_task_poll};
