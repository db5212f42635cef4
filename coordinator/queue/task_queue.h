/* The tasks that have units to hand out, and which of them is next.
 *
 * Higher priority first; among equals stride scheduling over worker seconds: each sweep has a
 * pass value that grows by seconds / weight as its leases settle, and the lowest pass goes next
 * (Waldspurger and Weihl 1995). The queue remembers how far the passes have come: a sweep that
 * joins late, or comes back with its next task, starts no lower, so it cannot claim the past, and
 * one that ran alone is not punished for it. Owned by the coordinator's loop thread. */
#ifndef COORDINATOR_QUEUE_TASK_QUEUE_H
#define COORDINATOR_QUEUE_TASK_QUEUE_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/task.h"
#include "coordinator/queue/unit_table.h"

#include <stdbool.h>
#include <stddef.h>

struct task;

/* What a task's owner (a sweep's engine) provides. Called on the loop thread. */
struct task_ops {
    /* Append the bytes that `unit` needs on a worker. NULL: its number says it all. An error, here
     * or in shared(), ends the task (task->failure). */
    status_t (*payload)(struct task *task, size_t unit, struct buffer *out, struct error *err);
    /* Append bytes shared by all units of a lease, e.g. current cut-offs. NULL: none. */
    status_t (*shared)(struct task *task, struct buffer *out, struct error *err);
    /* The stored result of `unit`, once per unit. NULL: results are not read back. An error
     * counts as a failed attempt, and the result leaves the store: what cannot be decoded is
     * nobody's. */
    status_t (*result)(struct task *task, size_t unit, const void *bytes, size_t n_bytes,
                       struct error *err);
};

/* Stands in the store in the place of a result that its owner keeps elsewhere (keep.lua). No task's
 * result looks like it. */
#define TASK_RESULT_MARK "kept"

enum { TASK_ERRORS_KEPT = 64 };
struct task_error {
    size_t low, high; /* units that it happened to: one, or those a dead worker may have run */
    int64_t unix_ms;
    char worker[WORKER_NAME_SIZE];
    char text[256];
};

/* A kind of worker: results of one kind are alike to the last bit. "" is any. */
struct worker_pin {
    char backend[16], isa[32];
};

/* Share of the cluster that one sweep is entitled to; tasks of a sweep share one. */
struct fair_share {
    int priority;          /* higher first */
    double weight;         /* > 0 */
    double pass;           /* seconds / weight consumed, relative */
    bool is_paused;        /* nothing of it is handed out; what runs is finished and counts */
    const char *backend;   /* that its pinned tasks have to run on; NULL: any */
    struct worker_pin pin; /* what its pinned tasks run on: the first that leased one */
};

struct task {
    char id[TASK_ID_SIZE]; /* "sweep/phase" */
    enum task_kind kind;
    struct unit_table *units; /* owned */
    char *spec_json;          /* owned: what a worker needs to know once */
    const struct task_ops *ops;
    void *owner;               /* the engine's, borrowed */
    struct fair_share *share;  /* the sweep's, borrowed */
    char backend[16], isa[32]; /* "" = any; set by the first worker that leases: results of one
                                  task come from one backend and instruction set */
    bool is_pinned;            /* does the result depend on the instruction set? */
    bool is_new;               /* open in the store, which has no result of it */
    bool keeps_dead;           /* one of many: its coming and going does not clear `dead` */
    size_t max_units_per_lease;
    bool holds_results;  /* ops->result is not called for now: the owner's states are in use */
    size_t n_read;       /* results handed to ops->result */
    size_t n_lost_marks; /* units to be done again: their result was kept elsewhere, and is not */
    double seconds_per_unit; /* smoothed over all workers; 0 = not measured yet */
    size_t n_units_timed;    /* that workers told the time of, here and now: not in an earlier */
    double worker_seconds;   /* life; of those, however often a unit was done */
    struct error failure;    /* a payload could not be made: nothing more is handed out */
    struct task_error errors[TASK_ERRORS_KEPT]; /* newest last, ring of the last kept */
    size_t n_errors;                            /* ever */
};

struct task_params {
    const char *id;
    enum task_kind kind;
    size_t n_units;
    const char *spec_json;
    const struct task_ops *ops;
    void *owner;
    struct fair_share *share;
    bool is_pinned, keeps_dead, is_new;
    size_t max_units_per_lease;
};
MUST_CHECK status_t task_create(struct task **out, const struct task_params *params,
                                struct error *err);
void task_destroy(struct task **task);
/* Remember why an attempt failed (kept for `interpctl dead`). */
void task_note_error(struct task *task, const struct task_error *error);

struct task_queue;
MUST_CHECK status_t task_queue_create(struct task_queue **out, struct error *err);
void task_queue_destroy(struct task_queue **queue); /* does not destroy the tasks */
MUST_CHECK status_t task_queue_add(struct task_queue *queue, struct task *task, struct error *err);
void task_queue_remove(struct task_queue *queue, struct task *task);
struct task *task_queue_find(struct task_queue *queue, const char *id); /* NULL if absent */
struct task *task_queue_at(struct task_queue *queue, size_t index);     /* NULL past the end */

struct task_fit {
    const char *backend;
    const char *isa;
};
/* The task whose next range a worker of this kind should get; NULL if there is nothing. */
struct task *task_queue_next(struct task_queue *queue, const struct task_fit *fit);
/* Could this worker run the task (not paused or failed, same backend and instruction set)? */
bool task_fits(const struct task *task, const struct task_fit *fit);
/* The same of what it runs already: paused or not. */
bool task_fits_worker(const struct task *task, const struct task_fit *fit);
/* A pinned task stays with the kind of worker that has it first. */
void task_pin(struct task *task, const struct task_fit *fit);
/* Account for work done. seconds: finite, >= 0. */
void task_charge(struct task *task, double seconds, size_t n_units);

#endif
