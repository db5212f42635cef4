/* Tasks and sweeps: their kinds, their states, and the two tables of legal moves.
 *
 * A task is a sweep's work of one kind, cut into numbered units [0, n_units). Workers lease
 * ranges of units; a unit is the grain at which results are stored, first writer wins. So the
 * state below is a unit's state; the task's is the summary of its units.
 *
 *              LEASE                SETTLE
 *      READY ---------> LEASED ----------------> DONE
 *        ^ ^              |  |   SETTLE (late result of a lease that was given up)
 *        | +---RETURN-----+  +--EXHAUST--> DEAD --RETRY--> READY
 *        +------------------------------------- SETTLE from READY or DEAD is legal: a result
 *                                               that is in the store counts, whoever wrote it
 *      any but DONE --CANCEL--> CANCELLED
 *
 * Used by every program; pure functions. */
#ifndef COMMON_TASK_H
#define COMMON_TASK_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TASK_ID_SIZE = 128, SWEEP_ID_SIZE = 80, WORKER_NAME_SIZE = 80 };

enum task_kind {
    TASK_NOOP,        /* settles a payload of the asked size: measures the queue itself */
    TASK_DESCRIBE,    /* model, vocabulary and dictionary facts that planning needs */
    TASK_TOKENIZE,    /* texts of documents -> token ids */
    TASK_CAPTURE,     /* tokens -> evidence of every feature */
    TASK_PROBE,       /* texts -> activations of single features on their tokens */
    TASK_LOGITS,      /* features -> the tokens that their directions promote and suppress */
    TASK_GENERATE,    /* prompts -> their continuations, clean and with interventions */
    TASK_ABLATE,      /* changed copies of prompts -> answers of the model */
    TASK_NEIGHBOURS,  /* features -> the features whose decoder rows are nearest */
    TASK_PROMPTS,     /* a generator's request, or a user's file -> a prompt set in tokens */
    TASK_ATTRIBUTE,   /* prompts -> scores of all nodes and edges by derivatives */
    TASK_HEAD_SCORES, /* sequences -> attention of every head where known kinds of heads have it */
    TASK_N_KINDS
};
const char *task_kind_name(enum task_kind kind);
MUST_CHECK status_t task_kind_parse(const char *name, enum task_kind *out, struct error *err);

enum unit_state { UNIT_READY, UNIT_LEASED, UNIT_DONE, UNIT_DEAD, UNIT_CANCELLED, UNIT_N_STATES };
enum unit_event {
    UNIT_LEASE,   /* handed to a worker */
    UNIT_SETTLE,  /* its result is in the store */
    UNIT_RETURN,  /* the lease ended without it: failed, revoked, worker lost */
    UNIT_EXHAUST, /* the same with no attempt left */
    UNIT_RETRY,   /* a user gives a dead unit another life */
    UNIT_CANCEL,
    UNIT_N_EVENTS
};
/* Apply `event`. Returns false and leaves *state when the move is not legal. This is the only
 * function that changes a unit's state. */
MUST_CHECK bool unit_transition(uint8_t *state, enum unit_event event);
const char *unit_state_name(enum unit_state state);

enum sweep_state {
    SWEEP_QUEUED, /* accepted and durable, nothing runs yet */
    SWEEP_RUNNING,
    SWEEP_PAUSED, /* by a user, a spent budget or a provider that refuses; reason is kept */
    SWEEP_FINISHED,
    SWEEP_FAILED, /* cannot go on: the reason is kept, `retry` resumes it */
    SWEEP_CANCELLED,
    SWEEP_N_STATES
};
enum sweep_event {
    SWEEP_START,
    SWEEP_PAUSE,
    SWEEP_RESUME,
    SWEEP_FINISH,
    SWEEP_FAIL,
    SWEEP_RETRY,
    SWEEP_CANCEL,
    SWEEP_N_EVENTS
};
MUST_CHECK bool sweep_transition(enum sweep_state *state, enum sweep_event event);
const char *sweep_state_name(enum sweep_state state);
MUST_CHECK status_t sweep_state_parse(const char *name, enum sweep_state *out, struct error *err);
/* True for the states that a sweep never leaves by itself. */
bool sweep_state_is_final(enum sweep_state state);
/* True for those that it never leaves at all: finished, cancelled. */
bool sweep_state_is_over(enum sweep_state state);

#endif
