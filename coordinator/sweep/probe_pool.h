/* The probes of a sweep: sessions ask what the target model does on a text, answers are kept.
 *
 *              stored                                                 told to the owner
 *     ask ---> LOOKUP -------------------------------------------------------> gone
 *                |  not stored                                          ^
 *                v                                                      |
 *             WAITING --unit full, or BATCH_WAIT_MS old--> RUNNING --> ANSWERED
 *                                                      (in a task)   (in the store)
 *
 * An answer is named by its content: identity (fingerprints, compute, context ...), the target's
 * key, slot, text. It is computed once per sweep, stored (the first writer wins) before anybody is
 * told, and found there by whoever asks again: a session that is replayed after a restart pays
 * nothing. The probes of a task are written down before the task goes out, so that another
 * coordinator takes up the same tasks, with what workers finished meanwhile.
 *
 *   interp:probes:SWEEP        hash  content id -> answer (common/probe.h)
 *   interp:probe_tasks:SWEEP   hash  task id -> its units, while the task is not over
 *
 * Tasks are named by what they hold ("SWEEP/probe-HASH"), so a result that comes late can only be
 * the right one. What an answer says does not depend on which probes shared its batch.
 * A unit that is given up (three failures, two dead workers) answers its probes with the error,
 * stored like any answer; it stays listed in `interpctl dead`, and the sweep goes on.
 *
 * Bounded: PROBE_POOL_MAX_OPEN open probes (then ask() is ST_BUSY), PROBE_POOL_MAX_TASKS tasks at
 * a time. Loop thread only. */
#ifndef COORDINATOR_SWEEP_PROBE_POOL_H
#define COORDINATOR_SWEEP_PROBE_POOL_H

#include "common/clock.h"
#include "common/hash.h"
#include "common/probe.h"
#include "common/store.h"
#include "coordinator/dispatch/dispatcher.h"

#include <stddef.h>
#include <stdint.h>

enum { PROBE_POOL_MAX_OPEN = 1 << 18, PROBE_POOL_MAX_TASKS = 16 };

struct probe_pool;

struct probe_pool_target {
    uint64_t key; /* of the target and its slots: label_target.key */
    uint32_t n_slots;
};

struct probe_pool_params {
    struct dispatcher *dispatcher; /* borrowed, as are store, clock, share */
    struct store *store;
    const struct clock *clock;
    const char *sweep_id;
    struct fair_share *share;
    const char *spec_json; /* of a probe task (worker/tasks/probe_task.c) */
    const char *identity;  /* names all that answers depend on beside target, slot and text */
    const struct probe_pool_target *targets; /* [n_targets], in the order of spec_json */
    size_t n_targets;
    bool is_pinned; /* one backend and instruction set for all (task_queue.h) */
};

/* Texts are copied. On ST_OK the caller owns *out. Touches neither store nor dispatcher. Errors:
 * ST_BAD_INPUT (a name that is too long, no target), ST_NO_MEMORY. */
MUST_CHECK status_t probe_pool_create(struct probe_pool **out,
                                      const struct probe_pool_params *params, struct error *err);
/* Takes its tasks off the queue; the store is left for the next life. NULL-safe. */
void probe_pool_destroy(struct probe_pool **pool);

/* A pool for all targets of a run whose capture is over (label_probe.c). */
struct label_run;
MUST_CHECK status_t probe_pool_create_for_run(struct probe_pool **out, const struct label_run *run,
                                              struct error *err);

struct probe_request {
    uint32_t target, slot;
    const char *text; /* [n_bytes], any bytes; copied */
    size_t n_bytes;
};

/* Ask; `id` is the answer's name. The answer is told by a later step, once for any number of asks
 * of one id that came before it; asking again afterwards has it told again, out of the store. A
 * text over PROBE_MAX_TEXT_BYTES is answered with an error, like one without tokens. May be called
 * inside on_answer. Errors: ST_BAD_INPUT (target or slot that does not exist), ST_BUSY (full: ask
 * again after a step; nothing was kept), ST_NO_MEMORY. */
MUST_CHECK status_t probe_pool_ask(struct probe_pool *pool, const struct probe_request *request,
                                   char id[HASH_HEX_SIZE], struct error *err);

/* The answer of `id`, borrowed for the call; answer->error says why there is none. An error ends
 * the step with it. */
typedef status_t probe_pool_answer_fn(void *context, const char *id,
                                      const struct probe_answer *answer, struct error *err);

/* Go on as far as possible without waiting: look up, send out, store, tell. Call it at every step
 * of the engine, also while nothing is open (tasks of an earlier life are taken up). Errors:
 * ST_UNREACHABLE (the store is away: nothing is lost, call again), those of on_answer. */
MUST_CHECK status_t probe_pool_step(struct probe_pool *pool, probe_pool_answer_fn *on_answer,
                                    void *context, struct error *err);

/* Probes that were asked and not told yet. */
size_t probe_pool_n_open(const struct probe_pool *pool);

struct probe_pool_counts { /* since create */
    uint64_t n_asked;      /* distinct asks: a repeated ask of an open probe counts once */
    uint64_t n_stored;     /* of them answered out of the store */
    uint64_t n_computed;   /* answers that workers gave */
    uint64_t n_dead;       /* answers that are a dead unit's error */
    uint64_t n_tasks;      /* sent out, or taken up from an earlier life */
};
struct probe_pool_counts probe_pool_counts(const struct probe_pool *pool);

/* Dead units of the tasks that still run get another life (`interpctl retry`). */
void probe_pool_retry(struct probe_pool *pool);

/* Remove everything that probes of the sweep have in the store. Needs no pool; any number of
 * times. Errors: ST_UNREACHABLE. */
MUST_CHECK status_t probe_pool_forget(struct dispatcher *dispatcher, struct store *store,
                                      const char *sweep_id, struct error *err);

#endif
