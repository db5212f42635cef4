/* The engine of a circuit sweep: drives its phases; see circuit_run.h. */
#include "common/file.h"
#include "common/log.h"
#include "coordinator/sweep/circuit_results.h"
#include "coordinator/sweep/circuit_run.h"
#include "coordinator/sweep/finished_records.h"

#include <stdio.h>
#include <stdlib.h>

static const struct circuit_phase_ops *const phases[CIRCUIT_N_PHASES] = {
    [CIRCUIT_DESCRIBE] = &circuit_describe_phase,
    [CIRCUIT_PROMPTS] = &circuit_prompts_phase,
    [CIRCUIT_HEAD_SCORES] = &circuit_heads_phase,
    [CIRCUIT_ATTRIBUTION] = &circuit_attribution_phase,
    [CIRCUIT_AGENT] = &circuit_agent_phase,
    [CIRCUIT_SEARCH] = &circuit_search_phase,
    [CIRCUIT_VERDICT] = &circuit_verdict_phase,
};
/* About how much of a sweep's time each phase takes, for the one progress bar. */
static const double phase_starts[CIRCUIT_N_PHASES + 1] = {0.0,  0.02, 0.05, 0.07, 0.1,
                                                          0.12, 0.45, 1.0,  1.0};

static const struct circuit_phase_ops *phase_of(const struct circuit_run *run)
{
    const bool is_brought = run->phase == CIRCUIT_SEARCH && run->sweep->spec->circuit;
    return is_brought ? &circuit_brought_phase : phases[run->phase];
}

static const char *phase_name(const struct circuit_run *run)
{
    return run->phase == CIRCUIT_DONE ? "done" : phase_of(run)->name;
}

static status_t circuit_start(struct sweep *sweep, struct error *err)
{
    struct circuit_run *run = calloc(1, sizeof *run);
    char *directory = sweep_path(sweep, NULL);
    if (!run || !directory) {
        free(run);
        free(directory);
        return error_set(err, ST_NO_MEMORY, "circuit sweep");
    }
    run->sweep = run->work.sweep = sweep;
    buffer_init(&run->prompt_text, INT32_MAX);
    sweep->engine = run;
    const status_t status = file_make_directories(directory, err);
    free(directory);
    return status == ST_OK ? circuit_agent_start(run, err) : status;
}

static status_t enter(struct circuit_run *run, struct error *err)
{
    log_event(LOG_INFO, "phase", LOG_TEXT("sweep", run->sweep->id),
              LOG_TEXT("phase", phase_name(run)));
    const status_t status = phase_of(run)->begin(run, err);
    run->has_begun = status == ST_OK;
    return status;
}

static bool is_asked(unsigned phase, const struct sweep_spec *spec)
{
    return !phases[phase]->is_asked || phases[phase]->is_asked(spec);
}

/* Behind the phase that is over, to the next that the sweep asks for. */
static void move_on(struct circuit_run *run)
{
    do run->phase++;
    while (run->phase != CIRCUIT_DONE && !is_asked(run->phase, run->sweep->spec));
    run->has_begun = false;
}

static status_t circuit_step(struct sweep *sweep, struct error *err)
{
    struct circuit_run *run = sweep->engine;
    bool is_over = true;
    while (is_over && run->phase != CIRCUIT_DONE) {
        status_t status = run->has_begun ? ST_OK : enter(run, err);
        if (status == ST_OK) status = phase_of(run)->poll(run, &is_over, err);
        if (status != ST_OK) return status;
        if (!is_over) return ST_OK;
        move_on(run);
    }
    sweep->is_complete = run->phase == CIRCUIT_DONE;
    return ST_OK;
}

static void circuit_stop(struct sweep *sweep)
{
    struct circuit_run *run = sweep->engine;
    sweep_task_leave(&run->work);
    circuit_heads_phase_fini(run);
    circuit_attribution_phase_fini(run);
    circuit_measurement_fini(&run->measure);
    circuit_verdict_plan_destroy(&run->plan);
    for (unsigned v = 0; v < ABLATE_N_VALUES; v++) {
        free(run->verdict_rows[v]);
        free(run->kl_rows[v]);
    }
    circuit_search_phase_fini(run);
    circuit_agent_fini(run);
    for (unsigned part = 0; part < PROMPT_N_PARTS; part++) {
        free(run->part_prompts[part]);
        free(run->units[part].unit_of);
    }
    prompt_set_fini(&run->prompts);
    buffer_fini(&run->prompt_text);
    free(run->candidates);
    free(run);
}

static status_t forget_task(const struct sweep *sweep, const char *phase, struct error *err)
{
    char id[TASK_ID_SIZE];
    sweep_task_id(sweep, phase, id);
    return dispatcher_forget_keys(sweep->context->dispatcher, id, sweep_over_words(sweep), err);
}

/* Tasks of rounds that are over are gone already: one more than there are files at most. */
static status_t circuit_forget(const struct sweep *sweep, struct error *err)
{
    status_t status = forget_task(sweep, circuit_describe_phase.name, err);
    if (status == ST_OK) status = forget_task(sweep, circuit_prompts_phase.name, err);
    if (status == ST_OK) status = forget_task(sweep, circuit_heads_phase.name, err);
    if (status == ST_OK) status = forget_task(sweep, circuit_attribution_phase.name, err);
    if (status == ST_OK) status = forget_task(sweep, circuit_verdict_phase.name, err);
    bool was_measured = true;
    for (size_t round = 0; status == ST_OK && was_measured; round++) {
        char name[32];
        circuit_round_name(round, name);
        was_measured = kept_answer_exists(sweep, name);
        status = forget_task(sweep, name, err);
    }
    return status == ST_OK && sweep_spec_asks_agent(sweep->spec)
               ? call_forget_sweep(sweep->context->calls, sweep->id, err)
               : status;
}

static status_t circuit_recheck(struct sweep *sweep, bool *may_go_on, struct error *err)
{
    return circuit_agent_recheck(sweep->engine, may_go_on, err);
}

static double task_fraction(const struct circuit_run *run)
{
    const struct task *task = run->work.task;
    const size_t n = task ? unit_table_n_units(task->units) : 0;
    return n ? (double)unit_table_count(task->units, UNIT_DONE) / (double)n : 0;
}

static void circuit_progress(const struct sweep *sweep, struct sweep_progress *out)
{
    const struct circuit_run *run = sweep->engine;
    *out = (struct sweep_progress){.phase = "done", .eta_seconds = -1, .n_supported = -1};
    out->fraction = sweep->state == SWEEP_FINISHED;
    if (!run) return;
    const double start = phase_starts[run->phase], end = phase_starts[run->phase + 1];
    out->phase = phase_name(run);
    out->fraction = start + (end - start) * task_fraction(run);
    if (!run->work.task) return;
    out->n_units = unit_table_n_units(run->work.task->units);
    out->n_units_done = unit_table_count(run->work.task->units, UNIT_DONE);
    out->n_units_dead = unit_table_count(run->work.task->units, UNIT_DEAD);
}

static json_t *json_skipped_phases(const struct sweep_spec *spec)
{
    json_t *names = json_array();
    for (unsigned phase = 0; phase < CIRCUIT_DONE; phase++)
        if (!is_asked(phase, spec))
            (void)json_array_append_new(names, json_string(phases[phase]->name));
    return names;
}

static status_t circuit_describe(const struct sweep *sweep, json_t *out, struct error *err)
{
    const struct circuit_run *run = sweep->engine;
    if (json_object_set_new(out, "skipped_phases", json_skipped_phases(sweep->spec)) != 0)
        return error_set(err, ST_NO_MEMORY, "status of %s", sweep->id);
    if (!run) return circuit_results_describe(sweep, out, err);
    json_t *json =
        json_pack("{s:s s:I s:I s:I s:I s:I}", "metric", circuit_metric_name(sweep->spec->metric),
                  "n_candidates", (json_int_t)run->n_candidates, "n_prompts_search",
                  (json_int_t)run->parts[PART_SEARCH].n, "n_prompts_reference",
                  (json_int_t)run->parts[PART_REFERENCE].n, "n_prompts_verdict",
                  (json_int_t)run->parts[PART_VERDICT].n, "n_rounds", (json_int_t)run->n_rounds);
    return json_object_set_new(out, "circuit", json) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "status of %s", sweep->id);
}

static void circuit_retry(struct sweep *sweep)
{
    struct circuit_run *run = sweep->engine;
    if (run->work.task) (void)dispatcher_retry_dead(sweep->context->dispatcher, run->work.task);
}

const struct sweep_engine_ops circuit_engine = {.first_task = CIRCUIT_FIRST_TASK,
                                                .start = circuit_start,
                                                .step = circuit_step,
                                                .stop = circuit_stop,
                                                .forget = circuit_forget,
                                                .recheck = circuit_recheck,
                                                .progress = circuit_progress,
                                                .describe = circuit_describe,
                                                .n_records = finished_records_count,
                                                .record = finished_records_append,
                                                .retry = circuit_retry};
