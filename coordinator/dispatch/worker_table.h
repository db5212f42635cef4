/* The workers that are connected, and what the coordinator knows of each.
 *
 * A worker is found by its routing identity (every message) and by the kernel descriptor of
 * its connection (the socket monitor's "disconnected"). Owned by the loop thread. */
#ifndef COORDINATOR_DISPATCH_WORKER_TABLE_H
#define COORDINATOR_DISPATCH_WORKER_TABLE_H

#include "common/error.h"
#include "common/task.h"
#include "common/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKER_SPECS_KEPT = 16, WORKER_HELD_MAX = 65 };

/* A lease that it brought along and whose task is not on the queue (yet). */
struct worker_held {
    uint64_t lease, low, high, n_open;
    char task[TASK_ID_SIZE];
};

struct worker {
    unsigned char identity[TRANSPORT_IDENTITY_MAX];
    size_t n_identity;
    int fd; /* of the connection; -1 unknown */
    char name[WORKER_NAME_SIZE];
    char host[WORKER_NAME_SIZE];
    char backend[16], isa[32], code_version[64];
    uint64_t pid, n_threads, memory_bytes;
    int64_t connected_unix_ms;
    int64_t last_seen_ms; /* monotonic */
    uint64_t ticks;       /* as last reported */
    int64_t ticks_moved_ms;
    uint64_t running_lease, running_unit; /* 0 lease = idle */
    uint64_t ticks_at_lease;              /* ticks when running_lease became what it is */
    size_t n_leases;                      /* of the lease table */
    uint64_t n_held_to_come; /* said in HELLO: gets nothing before it told what it has */
    struct worker_held held[WORKER_HELD_MAX]; /* [n_held] */
    size_t n_held;
    uint64_t n_settled; /* units */
    uint64_t n_failed;
    double busy_seconds;
    bool is_draining;
    bool is_stuck;
    bool is_clogged; /* a message could not be sent: gets nothing until it is heard of */
    char specs[WORKER_SPECS_KEPT][TASK_ID_SIZE]; /* task ids whose SPEC it has; ring */
    size_t next_spec;
};

struct worker_table;

MUST_CHECK status_t worker_table_create(struct worker_table **out, struct error *err);
void worker_table_destroy(struct worker_table **table);

/* A zeroed record for a new peer, or the existing one for its identity. ST_BUSY when full. */
MUST_CHECK status_t worker_table_add(struct worker_table *table, const void *identity,
                                     size_t n_identity, struct worker **out, struct error *err);
struct worker *worker_table_find(struct worker_table *table, const void *identity,
                                 size_t n_identity);
struct worker *worker_table_find_fd(struct worker_table *table, int fd);
struct worker *worker_table_find_name(struct worker_table *table, const char *name);
void worker_table_remove(struct worker_table *table, struct worker *worker);
size_t worker_table_count(const struct worker_table *table);
struct worker *worker_table_at(struct worker_table *table, size_t index); /* index < count */

bool worker_has_spec(const struct worker *worker, const char *task_id);
void worker_note_spec(struct worker *worker, const char *task_id);

#endif
