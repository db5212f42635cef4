/* The units of one task: which are ready, leased, done, dead.
 *
 * Three bytes a unit, whatever the task. Ranges are taken lowest first; units that may have been
 * running when a worker died are handed out alone afterwards, so that the one that killed it is
 * found by the next death exactly. Every state change goes through unit_transition().
 * Owned by the coordinator's loop thread. */
#ifndef COORDINATOR_QUEUE_UNIT_TABLE_H
#define COORDINATOR_QUEUE_UNIT_TABLE_H

#include "common/error.h"
#include "common/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIT_TABLE_MAX_UNITS = 64 * 1024 * 1024 };

struct unit_table;

/* All units ready. Errors: ST_TOO_LARGE, ST_NO_MEMORY. A table of 0 units is complete. */
MUST_CHECK status_t unit_table_create(struct unit_table **out, size_t n_units, struct error *err);
void unit_table_destroy(struct unit_table **table);

size_t unit_table_n_units(const struct unit_table *table);
size_t unit_table_count(const struct unit_table *table, enum unit_state state);
enum unit_state unit_table_state(const struct unit_table *table, size_t unit);
bool unit_table_is_complete(const struct unit_table *table); /* every unit done */
/* Nothing ready or leased is left (done, dead or cancelled only). */
bool unit_table_is_settled(const struct unit_table *table);

/* Lease the lowest run of at most max_units ready units as [*low, *high). False if none. */
bool unit_table_take(struct unit_table *table, size_t max_units, size_t *low, size_t *high);
/* A worker brought this unit along: leased if it was ready. False if it was not. */
bool unit_table_claim(struct unit_table *table, size_t unit);

/* The unit's result is said to be in the store and will be read: from now on it is not handed
 * out, and no lease's end makes it ready. True if that is news and the unit is not over. */
bool unit_table_note_stored(struct unit_table *table, size_t unit);

/* A result is in the store: true if this made the unit done, false if it was already. */
bool unit_table_settle(struct unit_table *table, size_t unit);
/* Its result turned out not to be in the store, by nobody's fault: ready again, unless over. */
void unit_table_unstore(struct unit_table *table, size_t unit);
/* The lease on the unit ended without blame (worker left, revoked). No-op unless leased, or if
 * its result is in the store. */
void unit_table_return(struct unit_table *table, size_t unit);

enum unit_blame {
    UNIT_BLAME_ERROR, /* the unit's work failed with an error */
    UNIT_BLAME_DEATH  /* the worker died while it ran this unit */
};
struct unit_limits {
    unsigned max_attempts; /* failures before dead, 1 to 15 */
    unsigned max_kills;    /* worker deaths before dead (quarantine), 1 to 15 */
};
/* Count one failed attempt; the unit becomes ready again or dead, and is stored no more. Returns
 * its new state. */
enum unit_state unit_table_fail(struct unit_table *table, size_t unit, enum unit_blame blame,
                                const struct unit_limits *limits);
/* Dead units become ready with a clean record; returns how many. */
size_t unit_table_retry_dead(struct unit_table *table);
void unit_table_cancel(struct unit_table *table); /* everything that is not done */

#endif
