/* The coordinator's end of the wire: workers come and go, leases are granted, settled, lost.
 *
 *   task_queue --grant--> worker --settle.lua--> Redis --SETTLED--> read back --> task's engine
 *
 * A unit counts as done only when its result was read from (or is known to be in) the store,
 * never on a worker's word. A worker is lost when its connection closes (noticed at once by the
 * socket monitor), when it is silent for lost_after_ms, and its leases are taken back when its run
 * thread shows no tick for long. Client requests are handed to `on_request`.
 * Owned by the loop thread; dispatcher_step() never blocks longer than its timeout and one
 * pipeline to Redis. */
#ifndef COORDINATOR_DISPATCH_DISPATCHER_H
#define COORDINATOR_DISPATCH_DISPATCHER_H

#include "common/clock.h"
#include "common/error.h"
#include "common/key_file.h"
#include "common/store.h"
#include "common/transport.h"
#include "coordinator/dispatch/leader.h"
#include "coordinator/dispatch/worker_table.h"
#include "coordinator/queue/lease_table.h"
#include "coordinator/queue/task_queue.h"

struct dispatcher;

/* Answer a client's request: `args` is bulk JSON (may be empty). Append the JSON result to
 * `out`; an error's text goes to the client instead. Must be quick: it runs on the loop. */
typedef status_t dispatcher_request_fn(void *context, const char *operation, struct wire_text args,
                                       struct buffer *out, struct error *err);

/* Does this operation change nothing? Viewers may ask for no other (access.h). */
typedef bool dispatcher_reading_fn(const char *operation);

struct dispatcher_options {
    void *zmq_context;            /* borrowed */
    const char *const *endpoints; /* [n_endpoints], bound by create */
    size_t n_endpoints;
    const struct key *key; /* borrowed; CURVE on every endpoint that is not inside (endpoint.h),
                              with a doorkeeper on the context. NULL: all are plain */
    const char *store_url; /* told to the workers */
    struct store *store;   /* borrowed */
    const struct clock *clock;
    struct leader *leader; /* borrowed; leads */
    uint64_t epoch;
    int64_t heartbeat_ms;  /* workers beat this often */
    int64_t lost_after_ms; /* silence that counts as lost */
    double lease_seconds;  /* work that one lease should hold */
    struct unit_limits limits;
    dispatcher_request_fn *on_request;
    dispatcher_reading_fn *is_reading;
    void *request_context;
};

struct dispatcher_counts { /* since start; for /metrics and tests */
    uint64_t n_leases_granted, n_units_settled, n_duplicates, n_failures, n_workers_lost,
        n_leases_expired, n_leases_adopted, n_speculative, n_protocol_errors;
};

MUST_CHECK status_t dispatcher_create(struct dispatcher **out,
                                      const struct dispatcher_options *options, struct error *err);
void dispatcher_destroy(struct dispatcher **dispatcher);
/* Hang up, before the engines stop: workers are told nothing, keep computing, and bring their
 * leases to whoever leads next. Only tasks may be forgotten and the dispatcher destroyed then. */
void dispatcher_close(struct dispatcher *dispatcher);

/* Open the task in the store, mark what earlier runs settled (results are handed to the engine
 * over the next steps), and queue the rest. Takes nothing: the engine keeps owning `task`. */
MUST_CHECK status_t dispatcher_add_task(struct dispatcher *dispatcher, struct task *task,
                                        struct error *err);
/* Revoke its leases, remove its keys from the store (dead units of the sweep too, unless it
 * keeps_dead), forget it. Safe on a task never added. */
MUST_CHECK status_t dispatcher_end_task(struct dispatcher *dispatcher, struct task *task,
                                        struct error *err);

/* Remove the keys of a task of that id that is not on the queue (an earlier life may have left
 * them). `why` is for workers that come too late with a result: "its sweep was cancelled". */
MUST_CHECK status_t dispatcher_forget_keys(struct dispatcher *dispatcher, const char *task_id,
                                           const char *why, struct error *err);

/* Results of this sweep's pinned tasks come from workers of this kind, whoever coordinates: written
 * with the sweep, then share->pin. `id` is the sweep's or one of its tasks'. Errors:
 * ST_UNREACHABLE, ST_CONFLICT. */
MUST_CHECK status_t dispatcher_pin_sweep(struct dispatcher *dispatcher, const char *id,
                                         struct fair_share *share, const struct worker_pin *pin,
                                         struct error *err);

/* The results of these units are kept elsewhere, durably: in the store each becomes a mark that
 * holds the unit's place. Any number of times, also when they are not there. ST_CONFLICT: another
 * coordinator leads. A mark that is read back (its keeper lost it) makes the unit ready again. */
MUST_CHECK status_t dispatcher_keep_results(struct dispatcher *dispatcher, const struct task *task,
                                            const size_t *units, size_t n_units, struct error *err);

/* Dead units of the task get another life; how many. */
size_t dispatcher_retry_dead(struct dispatcher *dispatcher, struct task *task);

/* Take it off the queue and leave the store as it is, to be added again later. */
void dispatcher_forget_task(struct dispatcher *dispatcher, struct task *task);

/* Wait up to timeout_ms for something to do, do it, grant what can be granted. `wake_fd` >= 0
 * is polled too. ST_UNREACHABLE: Redis is away; nothing was lost, call again. */
MUST_CHECK status_t dispatcher_step(struct dispatcher *dispatcher, int timeout_ms, int wake_fd,
                                    struct error *err);

/* While Redis is away: wait up to timeout_ms, hear workers and answer clients, decide nothing. */
void dispatcher_listen(struct dispatcher *dispatcher, int timeout_ms);

/* Grant what can be granted now, without waiting for the next step: called when tasks were added
 * outside of it, so that an idle cluster starts a sweep at once. */
MUST_CHECK status_t dispatcher_grant(struct dispatcher *dispatcher, struct error *err);

/* Tell a worker to finish and leave; ST_NOT_FOUND. */
MUST_CHECK status_t dispatcher_drain_worker(struct dispatcher *dispatcher, const char *name,
                                            struct error *err);

/* Has the sweep of this share work that no connected worker may be given? `out` then says which
 * kind of worker it waits for. */
enum { DISPATCHER_WAITS_SIZE = 160 };
bool dispatcher_waits_for(struct dispatcher *dispatcher, const struct fair_share *share,
                          char out[DISPATCHER_WAITS_SIZE]);

struct worker_table *dispatcher_workers(struct dispatcher *dispatcher);
struct task_queue *dispatcher_queue(struct dispatcher *dispatcher);
struct lease_table *dispatcher_leases(struct dispatcher *dispatcher);
const struct dispatcher_counts *dispatcher_counts(const struct dispatcher *dispatcher);

#endif
