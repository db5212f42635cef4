/* Phases 3 and 4: the workers capture, the partials are merged as they arrive.
 *
 * The explain split goes first: what it shows fixes from which value on a dense unit fires and
 * which tokens make a near miss, and only then are the other splits captured. */
#include "common/capture_unit_bytes.h"
#include "common/evidence_thresholds.h"
#include "common/evidence_zstd.h"
#include "coordinator/sweep/label_job.h"
#include "coordinator/sweep/label_run.h"

#include <stdlib.h>

enum { LEASE_MAX_TOKENS = CAPTURE_UNIT_MAX_TOKENS };

/* --- what goes out ------------------------------------------------------------------------- */

static status_t capture_payload(struct task *task, size_t unit, struct buffer *out,
                                struct error *err)
{
    struct label_run *run = task->owner;
    struct capture_unit block;
    capture_plan_unit(run->plan, run->first_unit + unit, run->unit_tokens, &block);
    return capture_unit_encode(&block, out, err);
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
    struct buffer plain;
    buffer_init(&plain, EVIDENCE_MAX_PARTIAL_BYTES);
    status_t status = ST_OK;
    if (run->phase == LABEL_CAPTURE_REST) {
        status = evidence_frozen_encode(&target->frozen, &plain, err);
        if (status == ST_OK) status = evidence_compress(plain.bytes, plain.n_bytes, out, err);
    }
    buffer_fini(&plain);
    return status;
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
            const bool is_open =
                (split == EVIDENCE_EXPLAIN) == (run->phase == LABEL_CAPTURE_EXPLAIN);
            if (is_open && run->targets[i].states[split])
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
    for (size_t i = 0; i < n_targets && status == ST_OK; i++)
        status = merge_partial(&run->targets[i], run->first_unit + unit, wire_part(&parts, i), err);
    buffer_fini(&plain);
    return status == ST_OK ? ST_OK : error_wrap(err, "unit %zu", unit);
}

static const struct task_ops capture_ops = {
    .payload = capture_payload, .shared = capture_shared, .result = capture_result};

/* --- the two phases ------------------------------------------------------------------------ */

static status_t open_states(struct label_run *run, enum evidence_split first,
                            enum evidence_split last, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++)
        for (unsigned split = first; split <= last && status == ST_OK; split++)
            if (run->plan_stats.n_units[split])
                status = label_evidence_state(run, i, (enum evidence_split)split,
                                              &run->targets[i].states[split], err);
    return status;
}

static status_t begin_task(struct label_run *run, const char *phase, uint64_t low, uint64_t high,
                           struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const size_t unit_tokens = (size_t)spec->rows_per_unit * spec->corpus.context_tokens;
    char *json = label_spec_json(run, TASK_CAPTURE);
    if (!json) return error_set(err, ST_NO_MEMORY, "task spec");
    run->first_unit = low;
    const struct label_task_params params = {.phase = phase,
                                             .kind = TASK_CAPTURE,
                                             .n_units = (size_t)(high - low),
                                             .spec_json = json,
                                             .ops = &capture_ops,
                                             .is_pinned = true,
                                             .max_units_per_lease = LEASE_MAX_TOKENS / unit_tokens};
    const status_t status = label_task_begin(run, &params, err);
    free(json);
    return status;
}

/* Evidence of an equal capture may be there, from another sweep or an earlier life. */
static status_t capture_explain_begin(struct label_run *run, struct error *err)
{
    bool was_there;
    uint64_t low, high;
    status_t status = open_states(run, EVIDENCE_EXPLAIN, EVIDENCE_OOD, err);
    if (status == ST_OK) status = label_evidence_load(run, &was_there, err);
    if (status != ST_OK || was_there) return status;
    capture_plan_range(run->plan, EVIDENCE_EXPLAIN, &low, &high);
    return begin_task(run, "capture-explain", low, high, err);
}

static status_t capture_explain_poll(struct label_run *run, bool *is_over, struct error *err)
{
    *is_over = true;
    return run->task ? label_task_poll(run, is_over, err) : ST_OK;
}

struct token_source {
    const struct token_corpus *corpus;
};

static status_t look_up_tokens(void *context, const struct evidence_window *window,
                               uint32_t *tokens, struct error *err)
{
    const struct token_source *source = context;
    return token_corpus_read(source->corpus, window->document_index, window->document_offset,
                             window->n_tokens, tokens)
               ? ST_OK
               : error_set(err, ST_CORRUPT, "evidence names tokens that do not exist");
}

/* Units of a dense kind fire above a high quantile of |value|; both signs share the histogram. */
static void freeze_thresholds(const struct sweep_spec *spec, const struct sweep_target *wanted,
                              struct label_target *target)
{
    const uint32_t n_signs = target->is_signed ? 2 : 1;
    const struct evidence_state *explain = target->states[EVIDENCE_EXPLAIN];
    if (wanted->units == SWEEP_UNITS_DICTIONARY) return;
    for (uint32_t slot = 0; slot + n_signs <= target->n_slots; slot += n_signs) {
        const uint32_t slots[2] = {slot, slot + 1};
        const float threshold = evidence_freeze_threshold(explain, slots, n_signs,
                                                          1.0 - spec->thresholds.unit_quantile);
        for (uint32_t i = 0; i < n_signs; i++) target->frozen.fire_threshold[slot + i] = threshold;
    }
}

static status_t freeze(struct label_run *run, struct error *err)
{
    const struct sweep_spec *spec = run->sweep->spec;
    struct token_source source = {run->corpus};
    status_t status = ST_OK;
    for (size_t i = 0; i < spec->n_targets && status == ST_OK; i++) {
        freeze_thresholds(spec, &spec->targets[i], &run->targets[i]);
        status = evidence_freeze_hard_tokens(run->targets[i].states[EVIDENCE_EXPLAIN],
                                             look_up_tokens, &source, &run->targets[i].frozen, err);
    }
    return status;
}

static bool has_rest(const struct label_run *run)
{
    return run->targets[0].states[EVIDENCE_TEST] != NULL;
}

/* The other splits' states know what was frozen, so they are made anew. */
static status_t reopen_rest(struct label_run *run, struct error *err)
{
    for (size_t i = 0; i < run->sweep->spec->n_targets; i++)
        for (unsigned split = EVIDENCE_VALIDATE; split < EVIDENCE_N_SPLITS; split++)
            evidence_state_destroy(&run->targets[i].states[split]);
    return open_states(run, EVIDENCE_VALIDATE, EVIDENCE_OOD, err);
}

static status_t capture_rest_begin(struct label_run *run, struct error *err)
{
    uint64_t low, high;
    if (has_rest(run) && evidence_state_n_units(run->targets[0].states[EVIDENCE_TEST]) > 0)
        return ST_OK; /* loaded from disk */
    status_t status = freeze(run, err);
    if (status == ST_OK) status = reopen_rest(run, err);
    if (status != ST_OK) return status;
    capture_plan_range(run->plan, EVIDENCE_EXPLAIN, &low, &high);
    return begin_task(run, "capture-rest", high, capture_plan_n_units(run->plan), err);
}

static status_t capture_rest_poll(struct label_run *run, bool *is_over, struct error *err)
{
    *is_over = true;
    if (!run->task) return ST_OK;
    const status_t status = label_task_poll(run, is_over, err);
    if (status != ST_OK || !*is_over) return status;
    const status_t ended = label_task_end(run, err);
    return ended == ST_OK ? label_job_start(run, label_evidence_save, err) : ended;
}

const struct label_phase_ops label_capture_explain_phase = {
    "capture-explain", capture_explain_begin, capture_explain_poll};
const struct label_phase_ops label_capture_rest_phase = {"capture-rest", capture_rest_begin,
                                                         capture_rest_poll};
