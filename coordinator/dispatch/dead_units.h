/* Units that were given up, with the error of every attempt, for `interpctl dead`.
 *
 *   interp:dead:SWEEP   hash  "TASK#UNIT" -> JSON {task, unit, errors: [{worker, unix_ms, text}]}
 *
 * In the store, so that they are there when the sweep has failed, its task is gone from memory,
 * and the coordinator was restarted. Removed when the sweep is retried, cancelled or finished.
 * Changes are noted where they happen (also inside a read of the store) and written at the next
 * step. Loop thread only. */
#ifndef COORDINATOR_DISPATCH_DEAD_UNITS_H
#define COORDINATOR_DISPATCH_DEAD_UNITS_H

#include "common/error.h"
#include "common/store.h"
#include "coordinator/queue/task_queue.h"

#include <jansson.h>
#include <stddef.h>

enum { DEAD_KEY_SIZE = SWEEP_ID_SIZE + 16 };

struct dead_change {
    char key[DEAD_KEY_SIZE];
    char field[TASK_ID_SIZE + 24];
    char *json; /* owned; NULL: remove the whole key */
};

/* Changes that the store was not told of yet. All zero is empty. */
struct dead_units {
    struct dead_change *changes; /* [n_changes] of capacity, oldest first */
    size_t n_changes, capacity;
};

void dead_units_fini(struct dead_units *dead);

/* `unit` of `task` was given up; its kept errors go along. */
void dead_units_add(struct dead_units *dead, const struct task *task, size_t unit);
/* All of the task's sweep live again. */
void dead_units_clear(struct dead_units *dead, const struct task *task);

/* Tell the store. ST_UNREACHABLE: nothing is lost, call again. */
MUST_CHECK status_t dead_units_write(struct dead_units *dead, struct store *store,
                                     struct error *err);

/* Name of the key of the sweep that `task_id` ("sweep/phase") or `sweep_id` belongs to. */
char *dead_units_key(const char *id, char out[DEAD_KEY_SIZE]);

/* Append the entries of one sweep to `out`, in order of task and unit. */
MUST_CHECK status_t dead_units_read(struct store *store, const char *sweep_id, json_t *out,
                                    struct error *err);

#endif
