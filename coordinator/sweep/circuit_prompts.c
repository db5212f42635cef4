/* Phase `prompts`: a worker makes the prompts, or tokenizes the user's (as they were when the sweep
 * was accepted); here they are checked, split and kept for readers. */
#include "common/file.h"
#include "coordinator/sweep/circuit_kept.h"
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>

static status_t file_payload(struct task *task, size_t unit, struct buffer *out, struct error *err)
{
    (void)unit;
    const struct circuit_run *run = task->owner;
    const struct sweep_spec *spec = run->sweep->spec;
    char *text = NULL;
    size_t n_bytes = 0;
    if (!spec->task.prompts) return ST_OK;
    status_t status =
        circuit_kept_prompts(spec, run->sweep->context->data_directory, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    status = buffer_append(out, text, n_bytes, err);
    free(text);
    return status;
}

static status_t take_prompts(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                             struct error *err)
{
    (void)unit;
    struct circuit_run *run = task->owner;
    run->prompt_text.n_bytes = 0;
    return buffer_append(&run->prompt_text, bytes, n_bytes, err);
}

static const struct task_ops prompts_ops = {.payload = file_payload, .result = take_prompts};

static status_t prompts_begin(struct circuit_run *run, struct error *err)
{
    char *spec = circuit_prompts_spec(run);
    if (!spec) return error_set(err, ST_NO_MEMORY, "task spec");
    const struct sweep_task_params params = {.phase = "prompts",
                                             .kind = TASK_PROMPTS,
                                             .n_units = 1,
                                             .spec_json = spec,
                                             .ops = &prompts_ops,
                                             .owner = run};
    const status_t status = sweep_task_begin(&run->work, &params, err);
    free(spec);
    return status;
}

/* --- what came back ------------------------------------------------------------------------ */

static status_t check_lengths(const struct circuit_run *run, struct error *err)
{
    const uint32_t most = run->sweep->spec->task.max_tokens;
    for (size_t i = 0; i < run->prompts.n_prompts; i++)
        if (run->prompts.prompts[i].n_tokens > most)
            return error_set(err, ST_TOO_LARGE, "prompt %s: %u tokens, task.max_tokens is %u",
                             run->prompts.prompts[i].id, run->prompts.prompts[i].n_tokens, most);
    return ST_OK;
}

/* Numbers of the prompts of every part, ascending. */
static status_t split(struct circuit_run *run, struct error *err)
{
    const struct circuit_splits *shares = &run->sweep->spec->prompt_splits;
    const struct circuit_ablation_spec *ablation = &run->sweep->spec->ablation;
    const struct prompt_split_params params = {
        .seed = run->sweep->spec->seed,
        .shares = {shares->search / 100.0, shares->reference / 100.0, shares->verdict / 100.0},
        .is_by_template =
            ablation->mean_over == MEAN_PER_TEMPLATE && (ablation->values >> ABLATE_MEAN & 1u)};
    const size_t n = run->prompts.n_prompts;
    size_t n_in_part[PROMPT_N_PARTS];
    enum prompt_part *parts = malloc(n * sizeof *parts);
    if (!parts) return error_set(err, ST_NO_MEMORY, "prompts");
    status_t status = prompt_split(&run->prompts, &params, parts, n_in_part, err);
    if (status != ST_OK && params.is_by_template)
        status = error_wrap(err, "ablation.mean_over template");
    for (unsigned part = 0; part < PROMPT_N_PARTS && status == ST_OK; part++) {
        uint32_t *chosen = malloc(n_in_part[part] * sizeof *chosen);
        run->parts[part] = (struct prompt_choice){.prompts = chosen};
        if (!chosen) status = error_set(err, ST_NO_MEMORY, "prompts");
        for (uint32_t i = 0; status == ST_OK && i < n; i++)
            if (parts[i] == (enum prompt_part)part) chosen[run->parts[part].n++] = i;
    }
    free(parts);
    return status;
}

static status_t make_units(struct circuit_run *run, enum prompt_part part, struct error *err)
{
    const struct prompt_choice *choice = &run->parts[part];
    struct prompt_unit_count count;
    uint32_t *unit_of = malloc(choice->n * sizeof *unit_of);
    if (!unit_of) return error_set(err, ST_NO_MEMORY, "prompts");
    const status_t status =
        prompt_set_units(&run->prompts, choice, PROMPT_SET_MIN_TEMPLATES, unit_of, &count, err);
    if (status != ST_OK) {
        free(unit_of);
        return status;
    }
    run->units[part] = (struct circuit_units){.units = {unit_of, choice->n, count.n_units},
                                              .unit_of = unit_of,
                                              .is_by_template = count.is_by_template};
    return ST_OK;
}

/* Is there a reference prompt that the mean at this position of the prompt can come from? */
static bool has_reference(const struct circuit_run *run, const struct circuit_prompt *prompt)
{
    const enum ablation_mean mean = run->sweep->spec->ablation.mean_over;
    const struct prompt_choice *reference = &run->parts[PART_REFERENCE];
    bool is_there = mean == MEAN_OVERALL;
    for (size_t i = 0; i < reference->n && !is_there; i++) {
        const struct circuit_prompt *other = &run->prompts.prompts[reference->prompts[i]];
        is_there = other->n_tokens >= prompt->n_tokens &&
                   (mean != MEAN_PER_TEMPLATE || other->template_index == prompt->template_index);
    }
    return is_there;
}

static status_t check_means(const struct circuit_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    if (!(spec->ablation.values >> ABLATE_MEAN & 1u)) return ST_OK;
    for (size_t i = 0; i < run->prompts.n_prompts; i++) {
        const struct circuit_prompt *prompt = &run->prompts.prompts[i];
        if (has_reference(run, prompt)) continue;
        return error_set(err, ST_BAD_INPUT,
                         "ablation.mean_over %s: no reference prompt stands for prompt %s "
                         "(template %s, %u tokens); give more prompts, or another mean_over",
                         circuit_mean_name(spec->ablation.mean_over), prompt->id,
                         run->prompts.templates[prompt->template_index], prompt->n_tokens);
    }
    return ST_OK;
}

static status_t keep_file(const struct circuit_run *run, struct error *err)
{
    char *path = sweep_path(run->sweep, "prompts.jsonl");
    if (!path) return error_set(err, ST_NO_MEMORY, "prompts");
    const status_t status =
        file_write_atomic(path, run->prompt_text.bytes, run->prompt_text.n_bytes, err);
    free(path);
    return status;
}

static status_t take_all(struct circuit_run *run, struct error *err)
{
    const char *path = run->sweep->spec->task.prompts;
    status_t status = prompt_set_parse(&run->prompts, path ? path : "generated prompts",
                                       (const char *)run->prompt_text.bytes,
                                       run->prompt_text.n_bytes, run->n_vocab, err);
    if (status == ST_OK) status = check_lengths(run, err);
    if (status == ST_OK) status = split(run, err);
    for (unsigned part = 0; part < PROMPT_N_PARTS && status == ST_OK; part++)
        status = make_units(run, (enum prompt_part)part, err);
    if (status == ST_OK) status = check_means(run, err);
    if (status == ST_OK) status = circuit_candidates_make(run, err);
    return status == ST_OK ? keep_file(run, err) : status;
}

static status_t prompts_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    bool has_come = false;
    status_t status = run->work.task ? sweep_task_poll(&run->work, &has_come, err) : ST_OK;
    *is_over = false;
    if (status != ST_OK || !has_come) return status;
    if (run->n_candidates == 0) status = take_all(run, err);
    if (status == ST_OK) status = sweep_task_end(&run->work, err);
    *is_over = status == ST_OK;
    return status;
}

const struct circuit_phase_ops circuit_prompts_phase = {
    .name = "prompts", .begin = prompts_begin, .poll = prompts_poll};
