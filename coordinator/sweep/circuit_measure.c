#include "coordinator/sweep/circuit_measure.h"

#include "common/evidence_bytes.h"
#include "common/file.h"
#include "common/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNITS_PER_LEASE = 4, NUMBER_BYTES = 8 };
static const char magic[8] = "icmeas1"; /* then the key, in hex; then the numbers */
enum { HEAD_BYTES = sizeof magic + HASH_HEX_SIZE - 1 };

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

/* --- on disk ------------------------------------------------------------------------------ */

/* The hash of the task's spec and of every variant. */
static status_t make_key(struct circuit_measurement *measure, const char *spec_json,
                         struct error *err)
{
    struct buffer all;
    buffer_init(&all, SIZE_MAX);
    status_t status = buffer_append_text(&all, spec_json, err);
    for (size_t i = 0; i < n_units(measure) && status == ST_OK; i++)
        status = encode_slice(measure, i, &all, err);
    if (status == ST_OK) hash_sha256_hex(all.bytes, all.n_bytes, measure->key);
    buffer_fini(&all);
    return status;
}

static size_t n_values(const struct circuit_measurement *measure)
{
    return measure->asked.n_variants * measure->n_prompts;
}

static size_t file_bytes(const struct circuit_measurement *measure)
{
    return HEAD_BYTES + n_values(measure) * (measure->has_kl ? 2 : 1) * NUMBER_BYTES;
}

static unsigned char *put_numbers(unsigned char *at, const double *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        at = evidence_put_u64(at, bits);
    }
    return at;
}

static status_t save(const struct circuit_measurement *measure, struct error *err)
{
    const size_t n_bytes = file_bytes(measure);
    unsigned char *bytes = malloc(n_bytes), *at = bytes;
    if (!bytes) return error_set(err, ST_NO_MEMORY, "%s", measure->path);
    memcpy(at, magic, sizeof magic);
    memcpy(at + sizeof magic, measure->key, HASH_HEX_SIZE - 1);
    at = put_numbers(at + HEAD_BYTES, measure->values, n_values(measure));
    if (measure->has_kl) (void)put_numbers(at, measure->kls, n_values(measure));
    const status_t status = file_write_atomic(measure->path, bytes, n_bytes, err);
    free(bytes);
    return status;
}

static void take_numbers(double *numbers, size_t n, const unsigned char *at)
{
    for (size_t i = 0; i < n; i++, at += NUMBER_BYTES) {
        uint64_t bits = 0;
        for (unsigned b = 0; b < NUMBER_BYTES; b++) bits |= (uint64_t)at[b] << (8 * b);
        memcpy(&numbers[i], &bits, sizeof bits);
    }
}

/* Another question's answers, a damaged file: measured again. */
static void load(struct circuit_measurement *measure)
{
    struct error ignored = {0};
    const size_t n = n_values(measure);
    size_t n_bytes;
    char *bytes;
    if (file_read(measure->path, file_bytes(measure), &bytes, &n_bytes, &ignored) != ST_OK) return;
    measure->was_kept = n_bytes == file_bytes(measure) && memcmp(bytes, magic, sizeof magic) == 0 &&
                        memcmp(bytes + sizeof magic, measure->key, HASH_HEX_SIZE - 1) == 0;
    if (measure->was_kept) {
        const unsigned char *numbers = (const unsigned char *)bytes + HEAD_BYTES;
        take_numbers(measure->values, n, numbers);
        if (measure->has_kl) take_numbers(measure->kls, n, numbers + n * NUMBER_BYTES);
    } else {
        log_event(LOG_WARN, "measured_again", LOG_TEXT("file", measure->path));
    }
    free(bytes);
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

static status_t make_room(struct circuit_measurement *measure, struct error *err)
{
    const size_t n_prompts = measure->n_prompts;
    if (n_prompts == 0 || measure->asked.n_variants > CIRCUIT_MAX_VALUES / n_prompts)
        return error_set(err, ST_TOO_LARGE, "%zu variants on %zu prompts",
                         measure->asked.n_variants, n_prompts);
    const size_t n = n_values(measure) + 1; /* none at all is fine too */
    measure->values = calloc(n, sizeof *measure->values);
    measure->kls = measure->has_kl ? calloc(n, sizeof *measure->kls) : NULL;
    return measure->values && (measure->kls || !measure->has_kl)
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "%zu measured values", n);
}

static char *path_of(const struct sweep *sweep, const char *name)
{
    char file[64];
    (void)snprintf(file, sizeof file, "measured-%s.bin", name);
    return sweep_path(sweep, file);
}

bool circuit_measurement_exists(const struct sweep *sweep, const char *name)
{
    char *path = path_of(sweep, name);
    const bool exists = path && access(path, F_OK) == 0;
    free(path);
    return exists;
}

static status_t start(struct circuit_measurement *measure,
                      const struct circuit_measurement_params *params, struct error *err)
{
    (void)snprintf(measure->name, sizeof measure->name, "%s", params->name);
    measure->path = path_of(params->work->sweep, params->name);
    if (!measure->path) return error_set(err, ST_NO_MEMORY, "measurement");
    status_t status = make_room(measure, err);
    if (status == ST_OK) status = make_key(measure, params->spec_json, err);
    if (status != ST_OK) return status;
    load(measure);
    if (measure->was_kept) return ST_OK;
    const struct sweep_task_params task = {.phase = params->name,
                                           .kind = TASK_ABLATE,
                                           .n_units = n_units(measure),
                                           .spec_json = params->spec_json,
                                           .ops = &measure_ops,
                                           .owner = measure,
                                           .is_pinned = true,
                                           .max_units_per_lease = UNITS_PER_LEASE};
    return sweep_task_begin(measure->work, &task, err);
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
    const status_t status = start(measure, params, err);
    if (status != ST_OK) circuit_measurement_fini(measure);
    return status;
}

status_t circuit_measurement_poll(struct circuit_measurement *measure, bool *is_over,
                                  struct error *err)
{
    struct sweep_task *work = measure->work;
    char id[TASK_ID_SIZE];
    status_t status = ST_OK;
    *is_over = false;
    if (measure->was_kept) {
        sweep_task_id(work->sweep, measure->name, id);
        status = dispatcher_forget_keys(work->sweep->context->dispatcher, id, err);
        *is_over = status == ST_OK;
        return status;
    }
    if (!measure->is_here) {
        bool is_measured;
        status = sweep_task_poll(work, &is_measured, err);
        if (status != ST_OK || !is_measured) return status;
        status = save(measure, err);
        measure->is_here = status == ST_OK;
    }
    if (status == ST_OK) status = sweep_task_end(work, err);
    *is_over = status == ST_OK;
    return status;
}

void circuit_measurement_fini(struct circuit_measurement *measure)
{
    ablate_unit_fini(&measure->asked);
    free(measure->values);
    free(measure->kls);
    free(measure->path);
    *measure = (struct circuit_measurement){0};
}
