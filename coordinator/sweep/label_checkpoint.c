#include "coordinator/sweep/label_checkpoint.h"

#include "common/log.h"
#include "coordinator/sweep/checkpoint_file.h"
#include "coordinator/sweep/label_job.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MARKS_PER_STEP = 4096,
    REST_FACTOR = 4 /* after a write of t seconds the next waits 4 t: results wait while one runs */
};

struct label_checkpoint {
    struct unit_set *merged;      /* [n_targets] */
    struct unit_set kept, marked; /* kept: in the file, so in every target's states */
    size_t next_mark;             /* no kept unit below is without a mark */
    size_t n_new_bytes;           /* results merged and not yet kept */
    bool is_writing;
    struct error problem; /* of the last write */
    int64_t began_ms, next_ms;
};

static const char *const phase_files[LABEL_N_PHASES] = {
    [LABEL_CAPTURE_EXPLAIN] = "checkpoint-explain",
    [LABEL_CAPTURE_REST] = "checkpoint-rest",
};

status_t label_checkpoint_create(struct label_run *run, size_t n_units, struct error *err)
{
    const size_t n_targets = run->sweep->spec->n_targets;
    struct label_checkpoint *self = calloc(1, sizeof *self);
    run->checkpoint = self;
    if (self) self->merged = calloc(n_targets, sizeof *self->merged);
    if (!self || !self->merged) return error_set(err, ST_NO_MEMORY, "checkpoint");
    status_t status = unit_set_init(&self->kept, n_units, err);
    if (status == ST_OK) status = unit_set_init(&self->marked, n_units, err);
    for (size_t i = 0; i < n_targets && status == ST_OK; i++)
        status = unit_set_init(&self->merged[i], n_units, err);
    return status;
}

void label_checkpoint_destroy(struct label_run *run)
{
    struct label_checkpoint *self = run->checkpoint;
    if (!self) return;
    for (size_t i = 0; self->merged && i < run->sweep->spec->n_targets; i++)
        unit_set_fini(&self->merged[i]);
    free(self->merged);
    unit_set_fini(&self->kept);
    unit_set_fini(&self->marked);
    free(self);
    run->checkpoint = NULL;
}

bool label_checkpoint_has(const struct label_run *run, size_t target, size_t unit)
{
    return unit_set_has(&run->checkpoint->merged[target], unit);
}

void label_checkpoint_note(struct label_run *run, size_t target, size_t unit)
{
    unit_set_add(&run->checkpoint->merged[target], unit);
}

void label_checkpoint_add(struct label_run *run, size_t n_bytes)
{
    run->checkpoint->n_new_bytes += n_bytes;
}

/* What every target has is kept, now that the file is in place. */
static void take_as_kept(struct label_run *run)
{
    struct label_checkpoint *self = run->checkpoint;
    const struct unit_set *first = &self->merged[0];
    for (size_t unit = unit_set_next(first, 0); unit < first->n_units;
         unit = unit_set_next(first, unit + 1)) {
        bool is_whole = true;
        for (size_t i = 1; i < run->sweep->spec->n_targets; i++)
            is_whole = is_whole && unit_set_has(&self->merged[i], unit);
        if (is_whole) unit_set_add(&self->kept, unit);
    }
    self->next_mark = 0;
}

/* --- the file ------------------------------------------------------------------------------ */

/* The run's states and sets as the parts of a file; the caller frees parts. */
static status_t make_parts(const struct label_run *run, struct checkpoint *out, struct error *err)
{
    const size_t n = run->sweep->spec->n_targets;
    out->n_parts = n;
    out->parts = calloc(n, sizeof *out->parts);
    if (!out->parts) return error_set(err, ST_NO_MEMORY, "checkpoint");
    for (size_t i = 0; i < n; i++) {
        out->parts[i].merged = &run->checkpoint->merged[i];
        for (unsigned split = 0; split < EVIDENCE_N_SPLITS; split++)
            if (label_capture_covers(run, (enum evidence_split)split))
                out->parts[i].states[split] = run->targets[i].states[split];
    }
    return ST_OK;
}

static status_t read_or_write(const struct label_run *run, bool is_write, struct error *err)
{
    struct checkpoint checkpoint = {.key = run->evidence_key};
    char *path = sweep_path(run->sweep, phase_files[run->phase]);
    status_t status = path ? ST_OK : error_set(err, ST_NO_MEMORY, "checkpoint");
    if (status == ST_OK) status = make_parts(run, &checkpoint, err);
    if (status == ST_OK)
        status = is_write ? checkpoint_write(path, &checkpoint, err)
                          : checkpoint_read(path, &checkpoint, err);
    free(checkpoint.parts);
    free(path);
    return status;
}

status_t label_checkpoint_load(struct label_run *run, struct error *err)
{
    struct error problem = {0};
    const status_t status = read_or_write(run, false, &problem);
    if (status == ST_OK) {
        take_as_kept(run);
        log_event(LOG_INFO, "checkpoint_loaded", LOG_TEXT("sweep", run->sweep->id),
                  LOG_NUMBER("units", run->checkpoint->kept.n_members));
        return ST_OK;
    }
    if (status == ST_NO_MEMORY) return error_set(err, status, "%s", problem.text);
    if (status != ST_NOT_FOUND)
        log_event(LOG_WARN, "checkpoint_unreadable", LOG_TEXT("sweep", run->sweep->id),
                  LOG_TEXT("error", problem.text)); /* its units are captured again */
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++)
        unit_set_clear(&run->checkpoint->merged[i]);
    return label_capture_empty_states(run, err);
}

void label_checkpoint_settle(const struct label_run *run)
{
    const struct unit_set *kept = &run->checkpoint->kept;
    for (size_t unit = unit_set_next(kept, 0); unit < kept->n_units;
         unit = unit_set_next(kept, unit + 1))
        (void)unit_table_settle(run->work.task->units, unit);
}

/* A disk that is full must not end a sweep that can do without. */
static status_t write_file(struct label_run *run, struct error *err)
{
    (void)err;
    (void)!read_or_write(run, true, &run->checkpoint->problem);
    return ST_OK;
}

/* --- steps --------------------------------------------------------------------------------- */

static status_t begin_writing(struct label_run *run, int64_t now_ms, struct error *err)
{
    struct label_checkpoint *self = run->checkpoint;
    error_clear(&self->problem);
    const status_t status = label_job_start(run, write_file, err);
    if (status != ST_OK) return status;
    self->is_writing = run->work.task->holds_results = true;
    self->began_ms = now_ms;
    return ST_OK;
}

static void end_writing(struct label_run *run, int64_t now_ms)
{
    struct label_checkpoint *self = run->checkpoint;
    self->is_writing = run->work.task->holds_results = false;
    self->next_ms = now_ms + REST_FACTOR * (now_ms - self->began_ms);
    if (self->problem.status != ST_OK) {
        log_event(LOG_WARN, "checkpoint_not_written", LOG_TEXT("sweep", run->sweep->id),
                  LOG_TEXT("error", self->problem.text));
    } else {
        take_as_kept(run);
        log_event(LOG_DEBUG, "checkpoint", LOG_TEXT("sweep", run->sweep->id),
                  LOG_NUMBER("units", self->kept.n_members),
                  LOG_NUMBER("new_bytes", self->n_new_bytes),
                  LOG_NUMBER("ms", now_ms - self->began_ms));
    }
    self->n_new_bytes = 0;
}

static status_t mark_kept(struct label_run *run, struct error *err)
{
    struct label_checkpoint *self = run->checkpoint;
    size_t units[MARKS_PER_STEP], n = 0, unit = self->next_mark;
    for (; n < MARKS_PER_STEP; unit++) {
        unit = unit_set_next(&self->kept, unit);
        if (unit == self->kept.n_units) break;
        if (!unit_set_has(&self->marked, unit)) units[n++] = unit;
    }
    const struct sweep_context *context = run->sweep->context;
    const status_t status =
        n ? dispatcher_keep_results(context->dispatcher, run->work.task, units, n, err) : ST_OK;
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n; i++) unit_set_add(&self->marked, units[i]);
    self->next_mark = unit;
    return ST_OK;
}

status_t label_checkpoint_step(struct label_run *run, bool *is_idle, struct error *err)
{
    struct label_checkpoint *self = run->checkpoint;
    const int64_t now_ms = clock_monotonic_ms(run->sweep->context->clock);
    *is_idle = false;
    if (self->is_writing && run->n_jobs) return ST_OK;
    if (self->is_writing) end_writing(run, now_ms);
    const status_t status = mark_kept(run, err);
    if (status != ST_OK || self->marked.n_members < self->kept.n_members) return status;
    *is_idle = self->n_new_bytes < run->sweep->context->checkpoint_bytes || now_ms < self->next_ms;
    return *is_idle ? ST_OK : begin_writing(run, now_ms, err);
}

void label_checkpoint_remove_files(const struct sweep *sweep)
{
    for (size_t phase = 0; phase < LABEL_N_PHASES; phase++) {
        char *path = phase_files[phase] ? sweep_path(sweep, phase_files[phase]) : NULL;
        if (path) checkpoint_remove(path);
        free(path);
    }
}
