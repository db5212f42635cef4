/* A dispatcher on a real Redis and a real ROUTER, with a clock that stands still, and workers that
 * are a DEALER each, driven by the test. Criterion runs every test in a process of its own. */
#ifndef TESTS_UNIT_DISPATCHER_WORLD_H
#define TESTS_UNIT_DISPATCHER_WORLD_H

#include "common/clock.h"
#include "common/transport.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/sweep/registry.h"
#include "tests/unit/gateway_redis.h"

struct dispatcher_world {
    struct gateway_world redis;
    struct store *store; /* the dispatcher's own connection */
    int64_t now_ms;
    struct clock clock;
    struct leader leader;
    void *zmq_context;         /* of the workers */
    void *coordinator_context; /* of the dispatcher: ends with it, as a process does */
    char endpoint[128];
    struct dispatcher *dispatcher;
    struct fair_share share;
    char refusal[512]; /* of the last result that a worker stored; "": it was taken */
};

void dispatcher_world_start(struct dispatcher_world *world);
void dispatcher_world_stop(struct dispatcher_world *world);
/* The coordinator dies and another one starts, one epoch later; tasks are the caller's. */
void dispatcher_world_restart(struct dispatcher_world *world);

/* A registry of its sweeps; `history` may be NULL. Destroyed by the caller, before the world. */
struct registry *dispatcher_world_registry(struct dispatcher_world *world,
                                           struct sweep_cache *cache, struct history *history);

/* Keys in the store, but for what results that come too late are told (close.lua). */
long long dispatcher_world_n_keys(struct dispatcher_world *world);

/* Steps until nothing moves for a while; every status must be ST_OK. */
void dispatcher_world_settle(struct dispatcher_world *world);
/* Time passes in steps of 100 ms with a step of the dispatcher each. */
void dispatcher_world_pass(struct dispatcher_world *world, int64_t ms);

/* A noop task of n units, added; `ops` may be NULL. */
struct task *dispatcher_world_task(struct dispatcher_world *world, const char *id, size_t n_units,
                                   const struct task_ops *ops, size_t max_units_per_lease);

struct fake_worker {
    void *socket;
    struct transport_message in;
    uint64_t lease; /* of the last LEASE */
    char task[TASK_ID_SIZE];
    uint64_t low, high, epoch;
};
/* Connects and says HELLO (isa "plain"). */
void fake_worker_start(struct dispatcher_world *world, struct fake_worker *worker,
                       const char *name);
void fake_worker_hello(struct fake_worker *worker, const char *name, const char *isa,
                       uint64_t n_held);
/* A new connection of the same process, which still has n_open units of its lease to do. */
void fake_worker_reconnect(struct dispatcher_world *world, struct fake_worker *worker,
                           uint64_t n_open);
void fake_worker_say_held(struct fake_worker *worker, uint64_t n_open);
void fake_worker_stop(struct fake_worker *worker); /* closes the connection, without BYE */
void fake_worker_say(struct fake_worker *worker, const struct wire_message *message);
/* The next message, stepping the dispatcher while waiting; false if none comes. LEASE fills the
 * fields above. */
bool fake_worker_hear(struct dispatcher_world *world, struct fake_worker *worker);
/* Hears until that type comes; false if it does not. */
bool fake_worker_await(struct dispatcher_world *world, struct fake_worker *worker,
                       enum wire_type type);
/* settle.lua in Redis, as a worker does it, with result bytes "r<unit>"; its status. */
status_t fake_worker_store(struct dispatcher_world *world, const struct fake_worker *worker,
                           uint64_t low, uint64_t high);
/* The same of one unit, with these bytes. */
status_t fake_worker_store_bytes(struct dispatcher_world *world, const struct fake_worker *worker,
                                 uint64_t unit, const void *bytes, size_t n_bytes);
void fake_worker_say_settled(struct fake_worker *worker, uint64_t low, uint64_t high,
                             double seconds);
void fake_worker_beat(struct fake_worker *worker, uint64_t ticks, uint64_t unit);

#endif
