/* Results on their way into the store: packed until they are many, large or old, then written by
 * one call of settle.lua. Redis being away delays a settlement and never loses it: the call is
 * repeated, which the script makes harmless. Owned by one run thread. */
#ifndef WORKER_LINK_RESULT_BATCH_H
#define WORKER_LINK_RESULT_BATCH_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/store.h"
#include "common/wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    RESULT_BATCH_MAX_UNITS = WIRE_MAX_RANGES, /* so that any set of units fits one report */
    RESULT_BATCH_MAX_BYTES = 512 * 1024,
    RESULT_BATCH_MAX_MS = 100
};

struct result_batch {
    struct store *store; /* owned */
    struct store_script script;
    struct buffer bytes; /* results, one behind the other */
    uint64_t units[RESULT_BATCH_MAX_UNITS];
    size_t ends[RESULT_BATCH_MAX_UNITS];
    size_t n_units;
    int64_t first_ms; /* when the oldest waiting result was added */
};

MUST_CHECK status_t result_batch_init(struct result_batch *batch, const char *store_url,
                                      struct error *err);
void result_batch_fini(struct result_batch *batch);

/* The buffer to append the next unit's result to; result_batch_add() then counts it. */
struct buffer *result_batch_room(struct result_batch *batch);
void result_batch_add(struct result_batch *batch, uint64_t unit, int64_t now_ms);
bool result_batch_is_due(const struct result_batch *batch, int64_t now_ms);

struct result_batch_target {
    const char *task;
    uint64_t lease, epoch;
    const atomic_bool *stop; /* give up waiting for Redis when set */
    _Atomic uint64_t *ticks; /* moved while waiting for Redis */
};
/* Write what waits; empty afterwards whatever happens. Errors: ST_CONFLICT when the lease is
 * fenced off (revoked, task closed), ST_UNREACHABLE when stopped while Redis is away. */
MUST_CHECK status_t result_batch_flush(struct result_batch *batch,
                                       const struct result_batch_target *target, uint64_t *n_stored,
                                       uint64_t *n_duplicate, struct error *err);

#endif
