/* Phase `heads`, where it is wanted: what every head attends to on repeated random words. Nothing
 * of it has a say in search or verdict: it is for readers. */
#include "coordinator/sweep/circuit_run.h"

#include <stdlib.h>
#include <string.h>

enum { SEQUENCES_PER_UNIT = 16, SUMS_PER_PATTERN = 3 };

/* --- what is asked -------------------------------------------------------------------------- */

static bool is_asked(const struct sweep_spec *spec)
{
    switch (spec->head_scores.when) {
    case CIRCUIT_WHEN_ALWAYS: return true;
    case CIRCUIT_WHEN_NEVER: return false;
    case CIRCUIT_WHEN_AUTO: break;
    }
    return spec->task.generator == CIRCUIT_GENERATOR_INDUCTION &&
           (spec->candidates & CIRCUIT_HEADS);
}

struct head_sequences circuit_head_sequences(const struct circuit_run *run)
{
    const struct sweep_spec *spec = run->sweep->spec;
    const uint32_t n_words = spec->head_scores.n_words;
    return (struct head_sequences){.n = spec->head_scores.n_sequences,
                                   .n_words = n_words ? n_words : (spec->task.n_tokens - 1) / 2,
                                   .seed = spec->head_scores.seed};
}

static size_t n_units(const struct circuit_run *run)
{
    return (run->sweep->spec->head_scores.n_sequences + SEQUENCES_PER_UNIT - 1) /
           SEQUENCES_PER_UNIT;
}

static uint32_t n_sequences_of(const struct circuit_run *run, size_t unit)
{
    const uint32_t n_left =
        run->sweep->spec->head_scores.n_sequences - (uint32_t)unit * SEQUENCES_PER_UNIT;
    return n_left < SEQUENCES_PER_UNIT ? n_left : SEQUENCES_PER_UNIT;
}

static status_t unit_payload(struct task *task, size_t unit, struct buffer *out, struct error *err)
{
    const struct circuit_run *run = task->owner;
    const struct head_scores_unit asked = {.first = (uint32_t)unit * SEQUENCES_PER_UNIT,
                                           .n = n_sequences_of(run, unit)};
    return head_scores_unit_encode(&asked, out, err);
}

/* Kept as it came: sequences are added in their order, and units come in any. */
static status_t unit_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                            struct error *err)
{
    struct circuit_run *run = task->owner;
    struct head_scores_result result;
    status_t status = head_scores_result_decode(bytes, n_bytes, &result, err);
    if (status != ST_OK) return status;
    if (result.n != n_sequences_of(run, unit) || result.n_layers != run->shape.n_layers ||
        result.n_heads != run->shape.n_heads) {
        head_scores_result_fini(&result);
        return error_set(err, ST_CORRUPT, "unit %zu: head scores of something else", unit);
    }
    head_scores_result_fini(&run->heads.answers[unit]);
    run->heads.answers[unit] = result;
    return ST_OK;
}

static const struct task_ops head_scores_ops = {.payload = unit_payload, .result = unit_result};

/* --- numbers -------------------------------------------------------------------------------- */

/* The sums of every head, then the sequences and the queries of each pattern: all whole numbers
 * that a double holds. */
static size_t n_sums(const struct circuit_run *run)
{
    return (size_t)run->shape.n_layers * run->shape.n_heads * HEAD_N_PATTERNS * SUMS_PER_PATTERN;
}

static status_t gather(void *context, double *numbers, struct error *err)
{
    struct circuit_run *run = context;
    struct head_scores scores;
    status_t status = head_scores_init(&scores, run->shape.n_layers, run->shape.n_heads, err);
    if (status != ST_OK) return status;
    for (size_t unit = 0; unit < n_units(run) && status == ST_OK; unit++)
        status = head_scores_add(&scores, &run->heads.answers[unit], err);
    if (status == ST_OK) {
        double *counts = numbers + n_sums(run);
        memcpy(numbers, scores.sums, n_sums(run) * sizeof *numbers);
        *counts++ = (double)scores.n_sequences;
        for (int p = 0; p < HEAD_N_PATTERNS; p++) counts[p] = (double)scores.n_queries[p];
    }
    head_scores_fini(&scores);
    return status;
}

static status_t take_scores(struct circuit_run *run, struct error *err)
{
    const double *numbers = run->heads.answer.numbers, *counts = numbers + n_sums(run);
    struct head_scores *scores = &run->heads.scores;
    const status_t status = head_scores_init(scores, run->shape.n_layers, run->shape.n_heads, err);
    if (status != ST_OK) return status;
    memcpy(scores->sums, numbers, n_sums(run) * sizeof *numbers);
    scores->n_sequences = (uint64_t)counts[0];
    for (int p = 0; p < HEAD_N_PATTERNS; p++) scores->n_queries[p] = (uint64_t)counts[1 + p];
    run->heads.has_scores = true;
    return ST_OK;
}

/* --- the phase ------------------------------------------------------------------------------ */

static status_t begin_task(struct circuit_run *run, const char *spec, struct error *err)
{
    const struct sweep_task_params task = {.phase = circuit_heads_phase.name,
                                           .kind = TASK_HEAD_SCORES,
                                           .n_units = n_units(run),
                                           .spec_json = spec,
                                           .ops = &head_scores_ops,
                                           .owner = run,
                                           .is_pinned = true};
    struct buffer asked;
    buffer_init(&asked, SIZE_MAX);
    const struct kept_answer_params params = {
        .work = &run->work, .n = n_sums(run) + 1 + HEAD_N_PATTERNS, .asked = &asked, .task = &task};
    status_t status =
        buffer_printf(&asked, err, "%s %u", spec, run->sweep->spec->head_scores.n_sequences);
    if (status == ST_OK) status = kept_answer_begin(&run->heads.answer, &params, err);
    buffer_fini(&asked);
    return status;
}

static status_t heads_begin(struct circuit_run *run, struct error *err)
{
    char *spec = circuit_head_scores_spec(run);
    run->heads.answers = calloc(n_units(run), sizeof *run->heads.answers);
    const status_t status = spec && run->heads.answers
                                ? begin_task(run, spec, err)
                                : error_set(err, ST_NO_MEMORY, "head scores");
    free(spec);
    return status;
}

static status_t heads_poll(struct circuit_run *run, bool *is_over, struct error *err)
{
    const status_t status = kept_answer_poll(&run->heads.answer, gather, run, is_over, err);
    return status == ST_OK && *is_over ? take_scores(run, err) : status;
}

void circuit_heads_phase_fini(struct circuit_run *run)
{
    for (size_t unit = 0; run->heads.answers && unit < n_units(run); unit++)
        head_scores_result_fini(&run->heads.answers[unit]);
    free(run->heads.answers);
    head_scores_fini(&run->heads.scores);
    kept_answer_fini(&run->heads.answer);
}

const struct circuit_phase_ops circuit_heads_phase = {
    .name = "heads", .is_asked = is_asked, .begin = heads_begin, .poll = heads_poll};
