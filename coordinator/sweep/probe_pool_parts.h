/* What the files of the probe pool share. Private to coordinator/sweep/probe_*.c. */
#ifndef COORDINATOR_SWEEP_PROBE_POOL_PARTS_H
#define COORDINATOR_SWEEP_PROBE_POOL_PARTS_H

#include "coordinator/sweep/probe_batch.h"
#include "coordinator/sweep/probe_pool.h"

enum { PROBE_KEY_SIZE = SWEEP_ID_SIZE + 32 };

struct probe_pool {
    struct dispatcher *dispatcher;
    struct store *store;
    const struct clock *clock;
    struct fair_share *share;
    char sweep_id[SWEEP_ID_SIZE];
    char *spec_json;                   /* owned */
    char identity[HASH_HEX_SIZE];      /* hash of what answers depend on */
    struct probe_pool_target *targets; /* [n_targets], owned */
    size_t n_targets;
    char answers_key[PROBE_KEY_SIZE], tasks_key[PROBE_KEY_SIZE];

    struct probe_asks asks;
    struct probe_queue lookups, waiting;
    size_t n_wanted;
    struct probe_batch *batches[PROBE_POOL_MAX_TASKS]; /* [n_batches], each owned, oldest first */
    size_t n_batches;
    bool is_recovered, is_pinned;
    struct probe_pool_counts counts;
};

void probe_pool_keys(const char *sweep_id, char answers[PROBE_KEY_SIZE],
                     char tasks[PROBE_KEY_SIZE]);

/* The content id of a request that is within bounds. */
MUST_CHECK status_t probe_pool_name(const struct probe_pool *pool, uint32_t target, uint32_t slot,
                                    struct wire_text text, char id[HASH_HEX_SIZE],
                                    struct error *err);
/* The ask leaves the pool; then whoever wants it is told. */
MUST_CHECK status_t probe_pool_tell(struct probe_pool *pool, struct probe_ask *ask,
                                    const struct probe_answer *answer,
                                    probe_pool_answer_fn *on_answer, void *context,
                                    struct error *err);

/* probe_pool_lookup.c: answers that are in the store already. */
MUST_CHECK status_t probe_pool_look_up(struct probe_pool *pool, probe_pool_answer_fn *on_answer,
                                       void *context, struct error *err);

/* probe_pool_tasks.c: tasks made, sent out, stored, told, ended. */
/* Seal the batch and take it over; destroyed on failure. There is room for it. */
MUST_CHECK status_t probe_pool_add_batch(struct probe_pool *pool, struct probe_batch *batch,
                                         struct error *err);
MUST_CHECK status_t probe_pool_make_batches(struct probe_pool *pool, struct error *err);
MUST_CHECK status_t probe_pool_drive(struct probe_pool *pool, probe_pool_answer_fn *on_answer,
                                     void *context, struct error *err);

/* probe_pool_recover.c: tasks of an earlier life; once, before anything else. */
MUST_CHECK status_t probe_pool_recover(struct probe_pool *pool, struct error *err);
#endif
