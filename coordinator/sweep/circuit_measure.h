/* Changed copies of prompts, measured by workers: one metric value a variant and prompt.
 *
 *   variants (changes of activations) -> units of an ablate task -> values [n_variants, n_prompts]
 *
 * The values are kept in DATA/sweeps/ID/measured-NAME.bin, under the hash of all that was asked:
 * measured once, whatever happens to the coordinator. One at a time; loop thread only. */
#ifndef COORDINATOR_SWEEP_CIRCUIT_MEASURE_H
#define COORDINATOR_SWEEP_CIRCUIT_MEASURE_H

#include "common/ablate.h"
#include "common/hash.h"
#include "coordinator/circuit/circuit_metric.h"
#include "coordinator/sweep/sweep_task.h"

enum { CIRCUIT_MAX_VALUES = 1 << 27 }; /* of one measurement: 1 GiB */

struct circuit_measurement {
    struct sweep_task *work;  /* borrowed */
    struct ablate_unit asked; /* of all variants together: longer than a unit of work may be */
    enum circuit_metric metric;
    size_t n_prompts, n_batch;
    bool has_kl;
    double *values; /* [asked.n_variants, n_prompts], owned */
    double *kls;    /* the same, KL(clean, variant) in nats; NULL unless has_kl */
    bool is_here;   /* all of them */
    bool was_kept;  /* they were on disk: nothing was asked, and what the store has is forgotten */
    char name[32];
    char key[HASH_HEX_SIZE];
    char *path; /* owned */
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

/* Is a measurement of that name on disk, whatever was asked? */
bool circuit_measurement_exists(const struct sweep *sweep, const char *name);

/* Must the task compute whole distributions, or will the answers' logits do? */
bool circuit_measurement_needs_vocabulary(enum circuit_metric metric);

/* The value of one outcome under a metric. NaN where the task did not ask for it. */
double circuit_outcome_value(const struct ablate_outcome *outcome, enum circuit_metric metric);

#endif
