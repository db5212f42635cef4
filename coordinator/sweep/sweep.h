/* A sweep as the coordinator runs it: its spec, its state, and the engine of its kind.
 *
 * The registry owns sweeps and moves their state by sweep_transition(); the engine turns the
 * spec into tasks and results, phase by phase, and can start again from what the store and the
 * data directory hold at any moment. Loop thread only. */
#ifndef COORDINATOR_SWEEP_SWEEP_H
#define COORDINATOR_SWEEP_SWEEP_H

#include "common/buffer.h"
#include "common/clock.h"
#include "common/store.h"
#include "common/task.h"
#include "coordinator/dispatch/background.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/gateway/call.h"
#include "coordinator/intake/sweep_spec.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history;         /* coordinator/api/history.h */
struct provider_config; /* coordinator/gateway/provider_config.h */

struct results_file; /* coordinator/report/results_file.h */

enum { SWEEP_REASON_SIZE = 256 };

/* What engines keep between requests about sweeps that are over. */
struct sweep_cache {
    struct results_file *results;
    char results_sweep[SWEEP_ID_SIZE];
    bool has_new_capture; /* since the captures were last looked through (captures.h) */
};

/* What engines work with; all borrowed from main. */
struct sweep_context {
    struct dispatcher *dispatcher;
    struct background *background;
    struct store *store;
    struct leader *leader;
    struct call_client *calls;
    const struct clock *clock;
    const char *data_directory;
    const char *prompts_directory;
    uint64_t captures_max_bytes;             /* on disk; 0: no limit */
    size_t checkpoint_bytes;                 /* results merged between two checkpoints */
    const struct provider_config *providers; /* NULL: none */
    struct history *history;                 /* labels are added as they arrive */
    struct sweep_cache *cache;
};

struct sweep;

/* What a sweep shows of itself; engines fill in what they know. */
struct sweep_progress {
    const char *phase;  /* static text */
    double fraction;    /* 0..1 of the whole sweep */
    double eta_seconds; /* < 0: not known */
    uint64_t n_units, n_units_done, n_units_dead;
    uint64_t n_features, n_labelled;
    int64_t n_supported; /* -1: no null model ran */
};

struct sweep_engine_ops {
    /* The last part of the id of the task that a new sweep begins with: it is opened in the store
     * with the sweep, in one write (sweep->is_first_task_open). "": none. */
    const char *first_task;
    /* Begin, or go on after a restart. The engine is then driven by step(). */
    status_t (*start)(struct sweep *sweep, struct error *err);
    /* Advance as far as possible without waiting. An error other than ST_UNREACHABLE fails the
     * sweep with its text. The engine calls registry-independent helpers only; it reports being
     * finished by sweep->is_complete. */
    status_t (*step)(struct sweep *sweep, struct error *err);
    /* Free everything; leave the store in a state that start() can go on from. */
    void (*stop)(struct sweep *sweep);
    /* Remove what the sweep, now over for good, has in the store except itself. Works without an
     * engine, any number of times. */
    status_t (*forget)(const struct sweep *sweep, struct error *err);
    /* The engine had the sweep paused (wants_pause): *may_go_on says that the reason is gone.
     * NULL: it never pauses. Called about once a second. */
    status_t (*recheck)(struct sweep *sweep, bool *may_go_on, struct error *err);
    void (*progress)(const struct sweep *sweep, struct sweep_progress *out);
    /* Add the engine's own keys of the `status` operation. */
    status_t (*describe)(const struct sweep *sweep, json_t *out, struct error *err);
    /* Records are in order of target and feature. Append number `index` of n_records() as JSON;
     * ST_NOT_FOUND, and nothing appended: not there yet. find() may be NULL: they are not by
     * feature. */
    size_t (*n_records)(const struct sweep *sweep);
    status_t (*record)(const struct sweep *sweep, size_t index, struct buffer *out,
                       struct error *err);
    status_t (*find)(const struct sweep *sweep, size_t target, uint64_t feature, size_t *index,
                     struct error *err); /* ST_NOT_FOUND, ST_NO_MEMORY */
    /* Append the calls of record `index` (call_archive.h); ST_NOT_FOUND: none. May be NULL. */
    status_t (*trail)(const struct sweep *sweep, size_t index, struct buffer *out,
                      struct error *err);
    /* Dead units get another life. */
    void (*retry)(struct sweep *sweep);
};

struct sweep {
    char id[SWEEP_ID_SIZE];
    struct sweep_spec *spec; /* owned */
    enum sweep_state state;
    char reason[SWEEP_REASON_SIZE];
    int64_t created_unix_ms, started_unix_ms, finished_unix_ms; /* 0 = not yet */
    struct fair_share share;
    const struct sweep_engine_ops *ops;
    void *engine;            /* the engine's own; NULL while not started */
    bool is_first_task_open; /* just accepted: the store has no result of it yet */
    bool is_complete;
    bool must_forget; /* over for good, and the store still has something of it */
    char wants_pause[SWEEP_REASON_SIZE]; /* set by the engine: pause me, because ... */
    int64_t next_recheck_ms;             /* while the engine has it paused */
    const struct sweep_context *context;
};

/* Is the first task known to be open, and without results? Said once, to whoever creates it. */
static inline bool sweep_take_new_task(struct sweep *sweep)
{
    const bool is_new = sweep->is_first_task_open;
    sweep->is_first_task_open = false;
    return is_new;
}

/* The reason of a pause that only a user ends; every other is the engine's. */
extern const char sweep_paused_by_user[];

/* The engine for a kind of sweep; never NULL for a parsed spec. */
const struct sweep_engine_ops *sweep_engine_for(enum sweep_kind kind);
extern const struct sweep_engine_ops noop_engine, label_engine, circuit_engine, unreadable_engine;

/* `sweep` is of the store, but for its spec, which cannot be read; `why` says why. Here it counts
 * as failed unless it is over; the store is left as it is. Errors: ST_NO_MEMORY. */
status_t sweep_make_unreadable(struct sweep *sweep, const char *why, struct error *err);

/* Why its tasks are closed, for workers that come too late: "its sweep was cancelled". */
const char *sweep_over_words(const struct sweep *sweep);

/* DATA/sweeps/ID, or DATA/sweeps/ID/NAME; the caller frees it; NULL without memory. */
char *sweep_path(const struct sweep *sweep, const char *name);

#endif
