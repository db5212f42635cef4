/* Changed copies of prompts, measured by workers: one metric value a variant and prompt.
 *
 *   variants (changes of activations) -> units of an ablate task -> values [n_variants, n_prompts]
 *
 * The values are kept (kept_answer.h): measured once, whatever happens to the coordinator. One at a
 * time; loop thread only. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_MEASURE_H
#define COORDINATOR_SWEEP_CIRCUIT_MEASURE_H

#include "common/ablate.h"
#include "coordinator/circuit/circuit_metric.h"
#include "coordinator/sweep/kept_answer.h"

enum { CIRCUIT_MAX_VALUES = 1 << 27 }; /* of one measurement: 1 GiB */

struct circuit_measurement {
    struct sweep_task *work;  /* borrowed */
    struct ablate_unit asked; /* of all variants together: longer than a unit of work may be */
    enum circuit_metric metric;
    size_t n_prompts, n_batch;
    bool has_kl;
    struct kept_answer answer;
    double *values; /* [asked.n_variants, n_prompts], of the answer */
    double *kls;    /* the same, KL(clean, variant) in nats; NULL unless has_kl */
};

struct circuit_measurement_params {
    struct sweep_task *work;
    const char *name;         /* of the file and the task: "search-0" */
    const char *spec_json;    /* of the ablate task */
    struct ablate_unit asked; /* taken, also on an error */
    enum circuit_metric metric;
    bool has_kl; /* the spec asks for whole distributions */
    size_t n_prompts, n_batch;
};
/* Begin, or find the answers on disk. Touches nothing that may be away. Errors: ST_TOO_LARGE,
 * ST_NO_MEMORY. Ended by circuit_measurement_fini(). */
MUST_CHECK status_t circuit_measurement_begin(struct circuit_measurement *measure,
                                              const struct circuit_measurement_params *params,
                                              struct error *err);
/* *is_over: values are here, and kept. Errors: dead units, ST_IO. */
MUST_CHECK status_t circuit_measurement_poll(struct circuit_measurement *measure, bool *is_over,
                                             struct error *err);
/* Frees everything; the task is left to its owner. Fine twice. */
void circuit_measurement_fini(struct circuit_measurement *measure);

/* Must the task compute whole distributions, or will the answers' logits do? */
bool circuit_measurement_needs_vocabulary(enum circuit_metric metric);

/* The value of one outcome under a metric. NaN where the task did not ask for it. */
double circuit_outcome_value(const struct ablate_outcome *outcome, enum circuit_metric metric);

#endif
