/* The engine of a label sweep: drives its phases; see label_run.h. */
#include "coordinator/sweep/label_engine.h"

#include "common/file.h"
#include "common/log.h"
#include "coordinator/sweep/generate_pool.h"
#include "coordinator/sweep/label_checkpoint.h"
#include "coordinator/sweep/label_kept.h"
#include "coordinator/sweep/label_run.h"
#include "coordinator/sweep/label_scoring.h"
#include "coordinator/sweep/probe_pool.h"

#include <stdlib.h>
#include <string.h>

static const struct label_phase_ops *const phases[LABEL_N_PHASES] = {
    [LABEL_DESCRIBE] = &label_describe_phase,
    [LABEL_TOKENIZE] = &label_tokenize_phase,
    [LABEL_CAPTURE_EXPLAIN] = &label_capture_explain_phase,
    [LABEL_NEIGHBOURS] = &label_neighbours_phase,
    [LABEL_CAPTURE_REST] = &label_capture_rest_phase,
    [LABEL_LOGITS] = &label_logits_phase,
    [LABEL_SCORE] = &label_score_phase,
};
/* About how much of a sweep's time each phase takes, for the one progress bar. */
static const double phase_starts[LABEL_N_PHASES + 1] = {0.0,  0.02, 0.05, 0.29, 0.30,
                                                        0.55, 0.57, 1.0,  1.0};

const char *label_phase_name(enum label_phase phase)
{
    return phase == LABEL_DONE ? "done" : phases[phase]->name;
}

static status_t label_start(struct sweep *sweep, struct error *err)
{
    struct label_run *run = calloc(1, sizeof *run);
    char *directory = sweep_path(sweep, NULL);
    if (!run || !directory) {
        free(run);
        free(directory);
        return error_set(err, ST_NO_MEMORY, "label sweep");
    }
    run->sweep = run->work.sweep = sweep;
    sweep->engine = run;
    const status_t status = file_make_directories(directory, err);
    free(directory);
    return status;
}

status_t label_task_poll(struct label_run *run, bool *is_over, struct error *err)
{
    return sweep_task_poll(&run->work, is_over, err);
}

static status_t enter(struct label_run *run, struct error *err)
{
    run->has_begun = true;
    run->is_keeping = false;
    run->phase_began_ms = clock_monotonic_ms(run->sweep->context->clock);
    log_event(LOG_INFO, "phase", LOG_TEXT("sweep", run->sweep->id),
              LOG_TEXT("phase", label_phase_name(run->phase)));
    return phases[run->phase]->begin(run, err);
}

static status_t label_step(struct sweep *sweep, struct error *err)
{
    struct label_run *run = sweep->engine;
    bool is_over = true;
    while (is_over && run->phase != LABEL_DONE) {
        status_t status = run->has_begun ? ST_OK : enter(run, err);
        if (status == ST_OK && run->failure.status != ST_OK)
            status = error_set(err, run->failure.status, "%s", run->failure.text);
        if (status == ST_OK) status = phases[run->phase]->poll(run, &is_over, err);
        if (status == ST_OK && is_over && run->n_jobs) is_over = false;
        if (status == ST_OK && is_over) status = sweep_task_end(&run->work, err);
        if (status != ST_OK) return status;
        if (!is_over) return ST_OK;
        run->phase++;
        run->has_begun = false;
    }
    sweep->is_complete = run->phase == LABEL_DONE;
    return ST_OK;
}

/* Background jobs hold pointers into the run: they are waited for. */
static void wait_for_jobs(struct label_run *run)
{
    while (run->n_jobs) background_wait(run->sweep->context->background);
}

static void label_stop(struct sweep *sweep)
{
    struct label_run *run = sweep->engine;
    wait_for_jobs(run);
    sweep_task_leave(&run->work);
    label_checkpoint_destroy(run);
    label_scoring_destroy(&run->scoring);
    label_targets_fini(run);
    free(run->unit_tokens);
    capture_plan_destroy(&run->plan);
    token_corpus_destroy(&run->corpus);
    text_batches_destroy(&run->batches);
    if (run->has_description) description_fini(&run->description);
    free(run);
}

static status_t label_forget(const struct sweep *sweep, struct error *err)
{
    status_t status = ST_OK;
    label_checkpoint_remove_files(sweep);
    label_kept_remove(sweep, label_neighbours_phase.name);
    label_kept_remove(sweep, label_logits_phase.name);
    for (unsigned phase = 0; phase < LABEL_SCORE && status == ST_OK; phase++) {
        char id[TASK_ID_SIZE];
        sweep_task_id(sweep, phases[phase]->name, id);
        status =
            dispatcher_forget_keys(sweep->context->dispatcher, id, sweep_over_words(sweep), err);
    }
    if (status == ST_OK)
        status =
            probe_pool_forget(sweep->context->dispatcher, sweep->context->store, sweep->id, err);
    if (status == ST_OK)
        status =
            generate_pool_forget(sweep->context->dispatcher, sweep->context->store, sweep->id, err);
    if (status == ST_OK && sweep_spec_uses_provider(sweep->spec))
        status = call_forget_sweep(sweep->context->calls, sweep->id, err);
    if (status == ST_OK && sweep->spec->mode == SWEEP_MODE_AGENTIC)
        status =
            probe_pool_forget(sweep->context->dispatcher, sweep->context->store, sweep->id, err);
    return status;
}

/* Plan and targets are made in the background: they are there once that phase is over. */
static bool is_planned(const struct label_run *run)
{
    return run->phase > LABEL_TOKENIZE;
}

static double phase_fraction(const struct label_run *run)
{
    if (run->phase == LABEL_SCORE) return label_scoring_fraction(run->scoring);
    if (!run->work.task) return run->n_jobs ? 1 : 0; /* its task is over, its files are written */
    const size_t n = unit_table_n_units(run->work.task->units);
    return n ? (double)unit_table_count(run->work.task->units, UNIT_DONE) / (double)n : 0;
}

static double eta_seconds(const struct label_run *run, double fraction)
{
    const int64_t now_ms = clock_unix_ms(run->sweep->context->clock);
    const double elapsed = (double)(now_ms - run->sweep->started_unix_ms) * 1e-3;
    return fraction > 0.03 && fraction < 1 ? elapsed * (1 - fraction) / fraction : -1;
}

static void label_progress(const struct sweep *sweep, struct sweep_progress *out)
{
    const struct label_run *run = sweep->engine;
    *out = (struct sweep_progress){.phase = "done", .eta_seconds = -1, .n_supported = -1};
    if (!run) {
        out->fraction = sweep->state == SWEEP_FINISHED;
        label_scoring_finished_counts(sweep, out);
        return;
    }
    const double start = phase_starts[run->phase], end = phase_starts[run->phase + 1];
    out->phase = label_phase_name(run->phase);
    out->fraction = start + (end - start) * phase_fraction(run);
    out->eta_seconds = eta_seconds(run, out->fraction);
    if (run->work.task) {
        out->n_units = unit_table_n_units(run->work.task->units);
        out->n_units_done = unit_table_count(run->work.task->units, UNIT_DONE);
        out->n_units_dead = unit_table_count(run->work.task->units, UNIT_DEAD);
    }
    for (size_t i = 0; is_planned(run) && i < sweep->spec->n_targets; i++)
        out->n_features += run->targets[i].chosen.n * (run->targets[i].is_signed ? 2 : 1);
    label_scoring_counts(run->scoring, out);
}

static json_t *json_split(const struct label_run *run, enum evidence_split split)
{
    return json_pack("{s:I s:I}", "n_documents", (json_int_t)run->plan_stats.n_documents[split],
                     "n_tokens", (json_int_t)run->plan_stats.n_tokens[split]);
}

static status_t label_describe(const struct sweep *sweep, json_t *out, struct error *err)
{
    const struct label_run *run = sweep->engine;
    if (!run) return label_scoring_describe_finished(sweep, out, err);
    json_t *splits = json_object();
    for (unsigned i = 0; is_planned(run) && i < EVIDENCE_N_SPLITS; i++)
        (void)json_object_set_new(splits, evidence_split_name((enum evidence_split)i),
                                  json_split(run, (enum evidence_split)i));
    (void)json_object_set_new(out, "splits", splits);
    (void)json_object_set_new(
        out, "leak_count", is_planned(run) ? json_integer((json_int_t)run->n_leaks) : json_null());
    return label_scoring_describe(run->scoring, out, err);
}

static status_t label_recheck(struct sweep *sweep, bool *may_go_on, struct error *err)
{
    struct label_run *run = sweep->engine;
    return label_scoring_recheck(run->scoring, may_go_on, err);
}

static void label_retry(struct sweep *sweep)
{
    struct label_run *run = sweep->engine;
    if (run->work.task) (void)dispatcher_retry_dead(sweep->context->dispatcher, run->work.task);
    label_scoring_retry(run->scoring);
}

void label_engine_calls(const struct sweep *sweep, struct label_calls *sum)
{
    const struct label_run *run = sweep->engine;
    label_scoring_calls(run->scoring, sum);
}

const struct sweep_engine_ops label_engine = {.first_task = LABEL_FIRST_TASK,
                                              .start = label_start,
                                              .step = label_step,
                                              .stop = label_stop,
                                              .forget = label_forget,
                                              .recheck = label_recheck,
                                              .progress = label_progress,
                                              .describe = label_describe,
                                              .n_records = label_scoring_n_records,
                                              .record = label_scoring_record,
                                              .find = label_scoring_find,
                                              .trail = label_scoring_trail,
                                              .retry = label_retry};
