/* Who holds which range of units, since when.
 *
 * A lease is one record for a whole range. Its id names its slot, so that lookup is one step:
 *   id = epoch (24 bits) . serial (24 bits) . slot (16 bits)
 * Ids never repeat within an epoch of fewer than 2^24 leases per slot turn, and epochs never
 * repeat, so a late message about an old lease finds nothing instead of a stranger's lease.
 * Owned by the coordinator's loop thread. */
#ifndef COORDINATOR_QUEUE_LEASE_TABLE_H
#define COORDINATOR_QUEUE_LEASE_TABLE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEASE_TABLE_MAX = 65536 };

struct task;   /* coordinator/queue/task_queue.h */
struct worker; /* coordinator/dispatch/worker_table.h */

struct lease {
    uint64_t id;
    struct task *task;     /* borrowed; NULL = free slot */
    struct worker *worker; /* borrowed */
    size_t low, high;      /* units [low, high) */
    size_t n_open;         /* units of the range not yet settled or failed by this lease */
    int64_t granted_ms;    /* monotonic */
    bool is_speculative;   /* a second copy of units that another lease holds */
    bool opens_task;       /* the worker's first of its task: models are opened, without a tick */
};

struct lease_table;

MUST_CHECK status_t lease_table_create(struct lease_table **out, uint64_t epoch, struct error *err);
void lease_table_destroy(struct lease_table **table);

/* A new lease, fields other than the id copied from `wanted`. Borrowed until lease_table_end().
 * Errors: ST_BUSY when all slots are taken. */
MUST_CHECK status_t lease_table_grant(struct lease_table *table, const struct lease *wanted,
                                      struct lease **out, struct error *err);
/* A lease that a worker brings along (the coordinator restarted, or the connection broke): keeps
 * its id. NULL if the id's slot is taken. */
struct lease *lease_table_adopt(struct lease_table *table, const struct lease *lease);
struct lease *lease_table_find(struct lease_table *table, uint64_t id); /* NULL if ended */
void lease_table_end(struct lease_table *table, struct lease *lease);

/* Iterate: for (l = NULL; (l = lease_table_next(table, l)); ). Ending the current one is safe. */
struct lease *lease_table_next(struct lease_table *table, const struct lease *after);
size_t lease_table_count(const struct lease_table *table);

#endif
