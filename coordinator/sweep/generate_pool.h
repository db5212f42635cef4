/* The generations of a sweep, or of a user (common/generate.h): asked by content, computed once.
 *
 *              stored                                                       told to the owner
 *     ask ---> LOOKUP ------------------------------------------------------------> gone
 *                |  not stored                                                ^
 *                v                                                            |
 *             WAITING --fewer than GENERATE_POOL_MAX_TASKS--> RUNNING --> in the store
 *
 * A generation is named by its content: identity (fingerprints, compute, targets ...) and job. Its
 * answer is stored (the first writer wins) before anybody is told, and found there by whoever asks
 * again: a session that is replayed after a restart pays nothing. A job is a task of its own, named
 * by the job: asked again by the next coordinator it is the same task, with the worker that is at
 * it, and what workers finished meanwhile.
 *
 *   interp:generations:SWEEP      hash  content id -> answer
 *   interp:generate_tasks:SWEEP   set   tasks that have keys in the store
 *
 * A job that is given up (three failures, two dead workers) is answered with the error, stored like
 * any answer; it stays listed in `interpctl dead`. Bounded by GENERATE_POOL_MAX_OPEN open jobs
 * (then ask() is ST_BUSY). Loop thread only. */
#ifndef COORDINATOR_SWEEP_GENERATE_POOL_H
#define COORDINATOR_SWEEP_GENERATE_POOL_H

#include "common/generate.h"
#include "common/hash.h"
#include "common/store.h"
#include "coordinator/dispatch/dispatcher.h"

enum { GENERATE_POOL_MAX_OPEN = 1 << 15, GENERATE_POOL_MAX_TASKS = 32 };

struct generate_pool;

struct generate_pool_params {
    struct dispatcher *dispatcher; /* borrowed, as are store and share */
    struct store *store;
    const char *sweep_id;
    struct fair_share *share;
    const char *spec_json; /* of a generate task (worker/tasks/generate_task.c) */
    const char *identity;  /* names all that answers depend on beside the job */
    bool is_pinned;        /* one backend and instruction set for all (task_queue.h) */
};

/* Texts are copied. On ST_OK the caller owns *out. Touches neither store nor dispatcher. Errors:
 * ST_BAD_INPUT (a name that is too long), ST_NO_MEMORY. */
MUST_CHECK status_t generate_pool_create(struct generate_pool **out,
                                         const struct generate_pool_params *params,
                                         struct error *err);
/* Takes its tasks off the queue; the store is left for the next life. NULL-safe. */
void generate_pool_destroy(struct generate_pool **pool);

/* A pool for all targets of a run whose capture is over (label_probe.c). */
struct label_run;
MUST_CHECK status_t generate_pool_create_for_run(struct generate_pool **out,
                                                 const struct label_run *run, struct error *err);

/* Ask; `id` is the answer's name. The answer is told by a later step, once for any number of asks
 * of one id that came before it. May be called inside on_answer. Errors: as generate_job_encode(),
 * ST_BUSY (full: ask again after a step; nothing was kept), ST_NO_MEMORY. */
MUST_CHECK status_t generate_pool_ask(struct generate_pool *pool, const struct generate_job *job,
                                      char id[HASH_HEX_SIZE], struct error *err);

/* The answer of `id`, borrowed for the call; answer->error says why there is none. An error ends
 * the step with it. */
typedef status_t generate_pool_answer_fn(void *context, const char *id,
                                         const struct generate_answer *answer, struct error *err);

/* Go on as far as possible without waiting: look up, send out, store, tell. Errors:
 * ST_UNREACHABLE (the store is away: nothing is lost, call again), those of on_answer. */
MUST_CHECK status_t generate_pool_step(struct generate_pool *pool,
                                       generate_pool_answer_fn *on_answer, void *context,
                                       struct error *err);

struct generate_pool_counts { /* since create */
    uint64_t n_stored;        /* answered out of the store */
    uint64_t n_computed;      /* answers that workers gave */
    uint64_t n_dead;          /* answers that are a dead task's error */
};
struct generate_pool_counts generate_pool_counts(const struct generate_pool *pool);
size_t generate_pool_n_open(const struct generate_pool *pool);

/* Dead tasks that still run get another life (`interpctl retry`). */
void generate_pool_retry(struct generate_pool *pool);

/* Remove everything that generations of the sweep have in the store. Needs no pool; any number of
 * times. Errors: ST_UNREACHABLE. */
MUST_CHECK status_t generate_pool_forget(struct dispatcher *dispatcher, struct store *store,
                                         const char *sweep_id, struct error *err);

#endif
