/* head_scores: sequences -> how much each head attends where known kinds of heads would
 * (common/head_scores.h).
 *
 * Spec: {"kind":"head_scores","model","shuffle_seed" (optional),"fingerprint","compute",
 * "n_ctx": the longest sequence, "repeated": {"n_tokens","seed","bos"} (optional: sequences of
 * random words said twice, worker/prompts/repeated_tokens.h; "n_words" of one copy in the place of
 * "n_tokens", where the asker does not know whether BOS stands before)}. */
#include "worker/tasks/task_handler.h"

#include "worker/tasks/head_scores_runner.h"

static status_t head_scores_open(void **out, const struct task_environment *environment,
                                 const json_t *spec, struct error *err)
{
    struct head_scores_runner *runner = NULL;
    const status_t status = head_scores_runner_open(&runner, environment, spec, err);
    *out = runner;
    return status;
}

static void head_scores_close(void *context)
{
    struct head_scores_runner *runner = context;
    head_scores_runner_close(&runner);
}

static status_t head_scores_run(void *context, uint64_t unit_index, struct wire_text payload,
                                struct wire_text shared, struct buffer *out, struct error *err)
{
    (void)unit_index;
    (void)shared;
    struct head_scores_unit unit = {.n = 0};
    struct head_scores_result result = {.n = 0};
    status_t status = head_scores_unit_decode(payload.bytes, payload.n_bytes, &unit, err);
    if (status == ST_OK) status = head_scores_runner_run(context, &unit, &result, err);
    if (status == ST_OK) status = head_scores_result_encode(&result, out, err);
    head_scores_unit_fini(&unit);
    head_scores_result_fini(&result);
    return status;
}

const struct task_handler head_scores_task_handler = {TASK_HEAD_SCORES, head_scores_open,
                                                      head_scores_run, head_scores_close};
