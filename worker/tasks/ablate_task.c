/* ablate: variants of prompts -> what the model answers to each (common/ablate.h).
 *
 * Spec: {"kind":"ablate"} and what ablate_prompts.h and ablate_runner.h name. */
#include "worker/tasks/task_handler.h"

#include "worker/tasks/ablate_runner.h"

static status_t ablate_open(void **out, const struct task_environment *environment,
                            const json_t *spec, struct error *err)
{
    struct ablate_runner *runner = NULL;
    const status_t status = ablate_runner_open(&runner, environment, spec, err);
    *out = runner;
    return status;
}

static void ablate_close(void *context)
{
    struct ablate_runner *runner = context;
    ablate_runner_close(&runner);
}

static status_t ablate_run(void *context, uint64_t unit_index, struct wire_text payload,
                           struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct ablate_unit unit = {0};
    struct ablate_result result = {0};
    status_t status = ablate_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status == ST_OK) status = ablate_runner_run(context, &unit, &result, err);
    if (status == ST_OK) status = ablate_result_encode(&result, out, err);
    ablate_unit_fini(&unit);
    ablate_result_fini(&result);
    return status;
}

const struct task_handler ablate_task_handler = {TASK_ABLATE, ablate_open, ablate_run,
                                                 ablate_close};
