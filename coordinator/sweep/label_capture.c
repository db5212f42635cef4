/* Phases 3 and 4: the workers capture, the partials are merged as they arrive.
 *
 * The explain split goes first: what it shows fixes from which value on a dense unit fires and
 * which tokens make a near miss, and only then are the other splits captured. */
#include "common/capture_unit_bytes.h"
#include "common/evidence_thresholds.h"
#include "common/evidence_zstd.h"
#include "common/log.h"
#include "coordinator/sweep/label_checkpoint.h"
#include "coordinator/sweep/label_job.h"
#include "coordinator/sweep/label_run.h"

#include <stdlib.h>
#include <string.h>

enum { LEASE_MAX_TOKENS = CAPTURE_UNIT_MAX_TOKENS };

/* --- what goes out ------------------------------------------------------------------------- */

static status_t capture_payload(struct task *task, size_t unit, struct buffer *out,
                                struct error *err)
{
    struct label_run *run = task->owner;
    struct capture_unit block;
    const status_t status =
        capture_plan_unit(run->plan, run->first_unit + unit, run->unit_tokens, &block, err);
    return status == ST_OK ? capture_unit_encode(&block, out, err) : status;
}

static status_t add_thresholds(const struct evidence_state *state, struct buffer *out,
                               struct error *err)
{
    struct evidence_thresholds *thresholds = NULL;
    struct buffer plain;
    buffer_init(&plain, EVIDENCE_MAX_PARTIAL_BYTES);
    status_t status = evidence_thresholds_create(&thresholds, state, err);
    if (status == ST_OK) status = evidence_thresholds_encode(thresholds, &plain, err);
    if (status == ST_OK) status = evidence_compress(plain.bytes, plain.n_bytes, out, err);
    evidence_thresholds_destroy(&thresholds);
    buffer_fini(&plain);
    return status;
}

static status_t add_frozen(const struct label_run *run, const struct label_target *target,
                           struct buffer *out, struct error *err)
{
    if (run->phase != LABEL_CAPTURE_REST) return ST_OK;
    return buffer_append(out, target->frozen_packed.bytes, target->frozen_packed.n_bytes, err);
}

/* Parts for each target: frozen values (empty in explain), then the cut-offs of each split that
 * this phase captures (empty for the others). */
static status_t capture_shared(struct task *task, struct buffer *out, struct error *err)
{
    struct label_run *run = task->owner;
    const size_t n_targets = run->sweep->spec->n_targets;
    const size_t n_parts = n_targets * (1 + EVIDENCE_N_SPLITS);
    size_t *ends = malloc(n_parts * sizeof *ends);
    struct wire_text *parts = malloc(n_parts * sizeof *parts);
    struct buffer bytes;
    buffer_init(&bytes, EVIDENCE_MAX_PARTIAL_BYTES);
    status_t status = ends && parts ? ST_OK : error_set(err, ST_NO_MEMORY, "cut-offs");
    size_t n = 0;
    for (size_t i = 0; i < n_targets && status == ST_OK; i++) {
        status = add_frozen(run, &run->targets[i], &bytes, err);
        ends[n++] = bytes.n_bytes;
        for (size_t split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++) {
            if (label_capture_covers(run, (enum evidence_split)split) &&
                run->targets[i].states[split])
                status = add_thresholds(run->targets[i].states[split], &bytes, err);
            ends[n++] = bytes.n_bytes;
        }
    }
    for (size_t i = 0, start = 0; status == ST_OK && i < n; start = ends[i++])
        parts[i] = (struct wire_text){(const char *)bytes.bytes + start, ends[i] - start};
    if (status == ST_OK) status = wire_parts_encode(parts, n, out, err);
    free(ends);
    free(parts);
    buffer_fini(&bytes);
    return status;
}

/* --- what comes back ----------------------------------------------------------------------- */

static status_t merge_partial(struct label_target *target, uint64_t unit_number,
                              struct wire_text partial, struct error *err)
{
    struct evidence_identity identity;
    uint64_t number;
    status_t status =
        evidence_partial_peek(partial.bytes, partial.n_bytes, &identity, &number, err);
    if (status != ST_OK) return status;
    struct evidence_state *state = target->states[identity.split];
    if (number != unit_number || !state)
        return error_set(err, ST_CORRUPT, "partial of unit %llu came for unit %llu",
                         (unsigned long long)number, (unsigned long long)unit_number);
    return evidence_state_merge_partial(state, partial.bytes, partial.n_bytes, NULL, err);
}

/* A result that failed at its second target may come again: the first has it already. */
static status_t merge_parts(struct label_run *run, size_t unit, const struct wire_parts *parts,
                            struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < parts->n && status == ST_OK; i++) {
        if (label_checkpoint_has(run, i, unit)) continue;
        status = merge_partial(&run->targets[i], run->first_unit + unit, wire_part(parts, i), err);
        if (status == ST_OK) label_checkpoint_note(run, i, unit);
    }
    if (status == ST_NO_MEMORY &&
        err) { /* a state may hold half of it: this life of the run ends */
        run->failure = *err;
        run->failure.status = status;
    }
    return status;
}

static status_t capture_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                               struct error *err)
{
    struct label_run *run = task->owner;
    const size_t n_targets = run->sweep->spec->n_targets;
    struct buffer plain;
    struct wire_parts parts;
    buffer_init(&plain, (size_t)EVIDENCE_MAX_PARTIAL_BYTES * 2);
    status_t status =
        evidence_decompress(bytes, n_bytes, (size_t)EVIDENCE_MAX_PARTIAL_BYTES * 2, &plain, err);
    if (status == ST_OK) status = wire_parts_decode(plain.bytes, plain.n_bytes, &parts, err);
    if (status == ST_OK && parts.n != n_targets)
        status = error_set(err, ST_CORRUPT, "%zu partials for %zu targets", parts.n, n_targets);
    if (status == ST_OK) status = merge_parts(run, unit, &parts, err);
    if (status == ST_OK) label_checkpoint_add(run, n_bytes);
    buffer_fini(&plain);
    return status == ST_OK ? ST_OK : error_wrap(err, "unit %zu", unit);
}

static const struct task_ops capture_ops = {
    .payload = capture_payload, .shared = capture_shared, .result = capture_result};

/* --- the two phases ------------------------------------------------------------------------ */

bool label_capture_covers(const struct label_run *run, enum evidence_split split)
{
    return (split == EVIDENCE_EXPLAIN) == (run->phase == LABEL_CAPTURE_EXPLAIN);
}

static status_t empty_state(struct label_run *run, size_t target, enum evidence_split split,
                            struct error *err)
{
    evidence_state_destroy(&run->targets[target].states[split]);
    if (!run->plan_stats.n_units[split]) return ST_OK;
    return label_evidence_state(run, target, split, &run->targets[target].states[split], err);
}

status_t label_capture_empty_states(struct label_run *run, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++)
        for (unsigned split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++)
            if (label_capture_covers(run, (enum evidence_split)split))
                status = empty_state(run, i, (enum evidence_split)split, err);
    return status;
}

/* The units of the phase are [*low, *high) of the plan. */
static void phase_range(const struct label_run *run, uint64_t *low, uint64_t *high)
{
    capture_plan_range(run->plan, EVIDENCE_EXPLAIN, low, high);
    if (run->phase != LABEL_CAPTURE_REST) return;
    *low = *high;
    *high = capture_plan_n_units(run->plan);
}

/* Begin with what is there already, in the background. */
static status_t begin_loading(struct label_run *run, label_job_fn *load, struct error *err)
{
    uint64_t low, high;
    phase_range(run, &low, &high);
    run->capture_stage = CAPTURE_LOADING;
    run->first_unit = low;
    const status_t status = label_checkpoint_create(run, (size_t)(high - low), err);
    return status == ST_OK ? label_job_start(run, load, err) : status;
}

static status_t begin_task(struct label_run *run, const char *phase, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const size_t unit_tokens = (size_t)spec->rows_per_unit * spec->corpus.context_tokens;
    uint64_t low, high;
    phase_range(run, &low, &high);
    const struct sweep_task_params params = {.phase = phase,
                                             .kind = TASK_CAPTURE,
                                             .n_units = (size_t)(high - low),
                                             .ops = &capture_ops,
                                             .is_pinned = true,
                                             .max_units_per_lease = LEASE_MAX_TOKENS / unit_tokens};
    const status_t status = label_task_begin(run, params, err);
    if (status == ST_OK) label_checkpoint_settle(run);
    return status;
}

static void say_lost(struct label_run *run)
{
    if (run->work.task->n_lost_marks == 0 || run->has_said_lost) return;
    log_event(LOG_WARN, "kept_results_lost", LOG_TEXT("task_id", run->work.task->id));
    run->has_said_lost = true; /* they are captured again */
}

/* Until every unit is merged and no checkpoint is being written. */
static status_t poll_task(struct label_run *run, const char *phase, bool *is_over,
                          struct error *err)
{
    bool is_idle;
    status_t status = ST_OK;
    *is_over = false;
    if (run->capture_stage == CAPTURE_LOADING) {
        if (run->n_jobs) return ST_OK;
        status = begin_task(run, phase, err);
        run->capture_stage = CAPTURE_RUNNING;
    }
    if (status == ST_OK) say_lost(run);
    if (status == ST_OK) status = label_task_poll(run, is_over, err);
    if (status == ST_OK) status = label_checkpoint_step(run, &is_idle, err);
    if (status == ST_OK) *is_over = *is_over && is_idle;
    return status;
}

/* --- explain ------------------------------------------------------------------------------- */

/* Evidence of an equal capture may be there, from another sweep or an earlier life. */
static status_t load_explain(struct label_run *run, struct error *err)
{
    status_t status = label_evidence_load(run, &run->has_evidence, err);
    if (status == ST_OK && !run->has_evidence) status = label_checkpoint_load(run, err);
    return status;
}

static status_t capture_explain_begin(struct label_run *run, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++)
        for (unsigned split = 0; split < EVIDENCE_N_SPLITS && status == ST_OK; split++)
            status = empty_state(run, i, (enum evidence_split)split, err);
    return status == ST_OK ? begin_loading(run, load_explain, err) : status;
}

/* What is asked of workers later runs where the evidence comes from. */
static status_t take_over_pin(const struct label_run *run, struct error *err)
{
    struct fair_share *share = &run->sweep->share;
    const struct worker_pin *pin = &run->evidence_pin;
    if (!pin->backend[0] || memcmp(&share->pin, pin, sizeof *pin) == 0) return ST_OK;
    return dispatcher_pin_sweep(run->sweep->context->dispatcher, run->sweep->id, share, pin, err);
}

/* Its results and its checkpoint stay where they are until all evidence is on disk: whoever starts
 * again in the next phase merges them and captures nothing twice. */
static status_t capture_explain_poll(struct label_run *run, bool *is_over, struct error *err)
{
    *is_over = false;
    if (run->capture_stage == CAPTURE_LOADING && run->n_jobs) return ST_OK; /* the job's to say */
    *is_over = run->has_evidence;
    const status_t status = run->has_evidence
                                ? take_over_pin(run, err)
                                : poll_task(run, label_capture_explain_phase.name, is_over, err);
    if (status != ST_OK || !*is_over) return status;
    sweep_task_leave(&run->work);
    label_checkpoint_destroy(run);
    return ST_OK;
}

/* --- validate, test, out of distribution --------------------------------------------------- */

/* The other splits' states know what was frozen, so they are made anew. */
static status_t load_rest(struct label_run *run, struct error *err)
{
    status_t status = label_freeze(run, err);
    if (status == ST_OK) status = label_capture_empty_states(run, err);
    return status == ST_OK ? label_checkpoint_load(run, err) : status;
}

static status_t capture_rest_begin(struct label_run *run, struct error *err)
{
    return run->has_evidence ? ST_OK : begin_loading(run, load_rest, err);
}

static status_t forget_explain(const struct label_run *run, struct error *err)
{
    char id[TASK_ID_SIZE];
    sweep_task_id(run->sweep, label_capture_explain_phase.name, id);
    return dispatcher_forget_keys(run->sweep->context->dispatcher, id, "its evidence is on disk",
                                  err);
}

static void log_captured(const struct label_run *run)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++)
        for (size_t split = 0; split < EVIDENCE_N_SPLITS; split++)
            if (run->targets[i].states[split])
                n_bytes += evidence_state_memory_bytes(run->targets[i].states[split]);
    log_event(LOG_INFO, "captured", LOG_TEXT("sweep", run->sweep->id),
              LOG_NUMBER("units", capture_plan_n_units(run->plan)),
              LOG_NUMBER("evidence_bytes", n_bytes));
}

static status_t capture_rest_poll(struct label_run *run, bool *is_over, struct error *err)
{
    *is_over = run->has_evidence;
    if (run->has_evidence) return ST_OK;
    if (run->capture_stage != CAPTURE_SAVING) {
        const status_t status = poll_task(run, label_capture_rest_phase.name, is_over, err);
        if (status != ST_OK || !*is_over) return status;
        *is_over = false;
        run->capture_stage = CAPTURE_SAVING;
        return label_job_start(run, label_evidence_save, err);
    }
    if (run->n_jobs) return ST_OK;
    status_t status = forget_explain(run, err);
    if (status == ST_OK) status = sweep_task_end(&run->work, err);
    if (status != ST_OK) return status;
    log_captured(run);
    run->sweep->context->cache->has_new_capture = true;
    label_checkpoint_remove_files(run->sweep);
    label_checkpoint_destroy(run);
    *is_over = true;
    return ST_OK;
}

const struct label_phase_ops label_capture_explain_phase = {
    "capture-explain", capture_explain_begin, capture_explain_poll};
const struct label_phase_ops label_capture_rest_phase = {"capture-rest", capture_rest_begin,
                                                         capture_rest_poll};
