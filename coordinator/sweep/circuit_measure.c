#include "coordinator/sweep/circuit_measure.h"

#include <math.h>
#include <stdlib.h>

enum { UNITS_PER_LEASE = 4 };

bool circuit_measurement_needs_vocabulary(enum circuit_metric metric)
{
    return metric != METRIC_LOGIT_DIFFERENCE && metric != METRIC_ACCURACY;
}

double circuit_outcome_value(const struct ablate_outcome *outcome, enum circuit_metric metric)
{
    switch (metric) {
    case METRIC_LOGIT_DIFFERENCE: return outcome->answer_logit - outcome->distractor_logit;
    case METRIC_PROBABILITY: return outcome->answer_probability;
    case METRIC_PROBABILITY_DIFFERENCE:
        return outcome->answer_probability - outcome->distractor_probability;
    case METRIC_ACCURACY: return outcome->is_correct;
    case METRIC_KL: return outcome->kl;
    }
    return NAN;
}

/* --- slices ------------------------------------------------------------------------------- */

static size_t n_units(const struct circuit_measurement *measure)
{
    return (measure->asked.n_variants + measure->n_batch - 1) / measure->n_batch;
}

/* Unit `index` as a unit of its own; ends is [n_batch] of the caller's. */
static struct ablate_unit slice_of(const struct circuit_measurement *measure, size_t index,
                                   uint32_t *ends)
{
    const struct ablate_unit *all = &measure->asked;
    const size_t first = index * measure->n_batch, n_left = all->n_variants - first;
    const uint32_t start = first ? all->ends[first - 1] : 0;
    struct ablate_unit slice = {.n_variants = n_left < measure->n_batch ? n_left : measure->n_batch,
                                .ends = ends,
                                .changes = all->changes ? all->changes + start : NULL};
    for (size_t i = 0; i < slice.n_variants; i++) ends[i] = all->ends[first + i] - start;
    return slice;
}

static status_t encode_slice(const struct circuit_measurement *measure, size_t index,
                             struct buffer *out, struct error *err)
{
    uint32_t *ends = malloc(measure->n_batch * sizeof *ends);
    if (!ends) return error_set(err, ST_NO_MEMORY, "variants");
    const struct ablate_unit slice = slice_of(measure, index, ends);
    const status_t status = ablate_unit_encode(&slice, out, err);
    free(ends);
    return status;
}

/* The task's spec and every variant: what the values depend on. */
static status_t list_asked(const struct circuit_measurement *measure, const char *spec_json,
                           struct buffer *out, struct error *err)
{
    status_t status = buffer_append_text(out, spec_json, err);
    for (size_t i = 0; i < n_units(measure) && status == ST_OK; i++)
        status = encode_slice(measure, i, out, err);
    return status;
}

static size_t n_values(const struct circuit_measurement *measure)
{
    return measure->asked.n_variants * measure->n_prompts;
}

/* --- by workers --------------------------------------------------------------------------- */

static status_t unit_payload(struct task *task, size_t unit, struct buffer *out, struct error *err)
{
    return encode_slice(task->owner, unit, out, err);
}

static status_t take_outcomes(struct circuit_measurement *measure, size_t unit,
                              const struct ablate_result *result, struct error *err)
{
    const size_t first = unit * measure->n_batch * measure->n_prompts;
    for (size_t i = 0; i < result->n_variants * result->n_prompts; i++) {
        const double value = circuit_outcome_value(&result->outcomes[i], measure->metric);
        if (!isfinite(value) || (measure->has_kl && !isfinite(result->outcomes[i].kl)))
            return error_set(err, ST_CORRUPT, "unit %zu: a value that is not finite", unit);
        measure->values[first + i] = value;
        if (measure->has_kl) measure->kls[first + i] = result->outcomes[i].kl;
    }
    return ST_OK;
}

static status_t unit_result(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                            struct error *err)
{
    struct circuit_measurement *measure = task->owner;
    const size_t n_left = measure->asked.n_variants - unit * measure->n_batch;
    const size_t n = n_left < measure->n_batch ? n_left : measure->n_batch;
    struct ablate_result result;
    status_t status = ablate_result_decode(bytes, n_bytes, &result, err);
    if (status != ST_OK) return status;
    if (result.n_variants != n || result.n_prompts != measure->n_prompts)
        status = error_set(err, ST_CORRUPT, "%zu variants of %zu prompts, not %zu of %zu",
                           result.n_variants, result.n_prompts, n, measure->n_prompts);
    if (status == ST_OK) status = take_outcomes(measure, unit, &result, err);
    ablate_result_fini(&result);
    return status;
}

static const struct task_ops measure_ops = {.payload = unit_payload, .result = unit_result};

/* --- one measurement ---------------------------------------------------------------------- */

static status_t check_size(const struct circuit_measurement *measure, struct error *err)
{
    const size_t n_prompts = measure->n_prompts;
    return n_prompts == 0 || measure->asked.n_variants > CIRCUIT_MAX_VALUES / n_prompts
               ? error_set(err, ST_TOO_LARGE, "%zu variants on %zu prompts",
                           measure->asked.n_variants, n_prompts)
               : ST_OK;
}

static status_t start(struct circuit_measurement *measure,
                      const struct circuit_measurement_params *params, struct error *err)
{
    const size_t n = n_values(measure);
    const struct sweep_task_params task = {.phase = params->name,
                                           .kind = TASK_ABLATE,
                                           .n_units = n_units(measure),
                                           .spec_json = params->spec_json,
                                           .ops = &measure_ops,
                                           .owner = measure,
                                           .is_pinned = true,
                                           .max_units_per_lease = UNITS_PER_LEASE};
    struct buffer asked;
    buffer_init(&asked, SIZE_MAX);
    const struct kept_answer_params kept = {
        .work = params->work, .n = measure->has_kl ? 2 * n : n, .asked = &asked, .task = &task};
    status_t status = list_asked(measure, params->spec_json, &asked, err);
    if (status == ST_OK) status = kept_answer_begin(&measure->answer, &kept, err);
    buffer_fini(&asked);
    measure->values = measure->answer.numbers;
    measure->kls = measure->has_kl && measure->values ? measure->values + n : NULL;
    return status;
}

status_t circuit_measurement_begin(struct circuit_measurement *measure,
                                   const struct circuit_measurement_params *params,
                                   struct error *err)
{
    *measure = (struct circuit_measurement){.work = params->work,
                                            .asked = params->asked,
                                            .metric = params->metric,
                                            .has_kl = params->has_kl,
                                            .n_prompts = params->n_prompts,
                                            .n_batch = params->n_batch};
    status_t status = check_size(measure, err);
    if (status == ST_OK) status = start(measure, params, err);
    if (status != ST_OK) circuit_measurement_fini(measure);
    return status;
}

status_t circuit_measurement_poll(struct circuit_measurement *measure, bool *is_over,
                                  struct error *err)
{
    return kept_answer_poll(&measure->answer, NULL, NULL, is_over, err);
}

void circuit_measurement_fini(struct circuit_measurement *measure)
{
    ablate_unit_fini(&measure->asked);
    kept_answer_fini(&measure->answer);
    *measure = (struct circuit_measurement){0};
}
