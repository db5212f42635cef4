/* The probes of a pool that were not told yet: found by content id, queued in the order of asking.
 * Private to coordinator/sweep/probe_*.c; loop thread. */
#ifndef COORDINATOR_SWEEP_PROBE_ASKS_H
#define COORDINATOR_SWEEP_PROBE_ASKS_H

#include "common/error.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_ask_state {
    ASK_LOOKUP,  /* may be in the store */
    ASK_WAITING, /* is not, and waits for a task */
    ASK_RUNNING  /* belongs to a task */
};

struct probe_ask {
    char id[HASH_HEX_SIZE];
    enum probe_ask_state state;
    bool is_wanted; /* somebody of this life asked */
    uint32_t target, slot;
    int64_t since_ms;              /* in its present state */
    struct probe_ask *queue_next;  /* of its queue */
    struct probe_ask *bucket_next; /* of its bucket */
    size_t n_bytes;
    char text[]; /* [n_bytes] */
};

struct probe_queue { /* oldest first; zeroed is empty */
    struct probe_ask *first, *last;
    size_t n;
};
void probe_queue_push(struct probe_queue *queue, struct probe_ask *ask);
struct probe_ask *probe_queue_pop(struct probe_queue *queue); /* NULL if empty */

struct probe_asks {             /* zeroed is empty */
    struct probe_ask **buckets; /* [n_buckets], a power of two */
    size_t n_buckets, n;
};
void probe_asks_fini(struct probe_asks *asks); /* frees every ask */
struct probe_ask *probe_asks_find(const struct probe_asks *asks, const char *id); /* or NULL */
/* A new ask, owned by the table; its id is not there yet. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t probe_asks_add(struct probe_asks *asks, const char *id, const char *text,
                                   size_t n_bytes, struct probe_ask **out, struct error *err);
/* Take it out and free it; it is in no queue. */
void probe_asks_drop(struct probe_asks *asks, struct probe_ask *ask);

#endif
