/* Some probes of a pool as one task: units of at most PROBE_MAX_PER_UNIT, each with its answers
 * once a worker gave them or the dispatcher gave it up. The task is named by what it holds.
 * Private to coordinator/sweep/probe_*.c; loop thread. */
#ifndef COORDINATOR_SWEEP_PROBE_BATCH_H
#define COORDINATOR_SWEEP_PROBE_BATCH_H

#include "common/buffer.h"
#include "common/probe.h"
#include "coordinator/queue/task_queue.h"
#include "coordinator/sweep/probe_asks.h"

enum { PROBE_BATCH_MAX_UNITS = 8, PROBE_BATCH_UNIT_BYTES = 128 * 1024 };

enum probe_batch_state {
    BATCH_NEW,   /* its record is not in the store */
    BATCH_SAVED, /* the dispatcher has not got it */
    BATCH_RUNS,
    BATCH_OVER /* every answer is told; record and keys remain */
};

struct probe_batch_unit {
    struct probe_ask *asks[PROBE_MAX_PER_UNIT]; /* [n], borrowed; NULL once told */
    size_t n, n_bytes;                          /* of the texts */
    struct buffer payload;
    bool is_answered, is_dead, is_stored, is_told;
    struct probe_answer answers[PROBE_MAX_PER_UNIT]; /* [n] if answered */
};

struct probe_batch {
    enum probe_batch_state state;
    size_t n_units, n_told; /* units */
    size_t most_per_unit;
    struct probe_batch_unit *units; /* [PROBE_BATCH_MAX_UNITS], owned */
    struct buffer record;           /* what is kept until it is over: parts, one a unit */
    struct task *task;              /* owned */
};

/* most_per_unit: 1..PROBE_MAX_PER_UNIT probes. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t probe_batch_create(struct probe_batch **out, size_t most_per_unit,
                                       struct error *err);
/* The task must be off the dispatcher's queue. NULL-safe. */
void probe_batch_destroy(struct probe_batch **batch);

/* Into the last unit, or a new one; false if the batch is full. */
bool probe_batch_put(struct probe_batch *batch, struct probe_ask *ask);
/* Begin the next unit; false if there can be no more. */
bool probe_batch_next_unit(struct probe_batch *batch);

struct probe_batch_params {
    const char *sweep_id, *spec_json;
    const char *identity; /* hex: what answers depend on beside the probes */
    struct fair_share *share;
    bool is_pinned;
};
/* The task's name: "SWEEP/probe-" and 64 bits of a hash over identity and record. Errors:
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t probe_batch_name(const struct probe_batch_params *params, const void *record,
                                     size_t n_record, char id[TASK_ID_SIZE], struct error *err);
/* Nothing more is put: payloads, record and task. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t probe_batch_seal(struct probe_batch *batch,
                                     const struct probe_batch_params *params, struct error *err);

/* Units that are dead, or that a broken task will never run, are answered with the reason. */
void probe_batch_take_dead(struct probe_batch *batch);

#endif
