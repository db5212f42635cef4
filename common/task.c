#include "common/task.h"

#include <string.h>

static const char *const kind_names[TASK_N_KINDS] = {
    [TASK_NOOP] = "noop",       [TASK_DESCRIBE] = "describe",   [TASK_TOKENIZE] = "tokenize",
    [TASK_CAPTURE] = "capture", [TASK_PROBE] = "probe",         [TASK_GENERATE] = "generate",
    [TASK_ABLATE] = "ablate",   [TASK_LOGITS] = "logits",       [TASK_NEIGHBOURS] = "neighbours",
    [TASK_PROMPTS] = "prompts", [TASK_ATTRIBUTE] = "attribute", [TASK_HEAD_SCORES] = "head_scores",
};

const char *task_kind_name(enum task_kind kind)
{
    return (unsigned)kind < TASK_N_KINDS ? kind_names[kind] : "?";
}

status_t task_kind_parse(const char *name, enum task_kind *out, struct error *err)
{
    for (unsigned i = 0; i < TASK_N_KINDS; i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *out = (enum task_kind)i;
            return ST_OK;
        }
    return error_set(err, ST_UNSUPPORTED, "unknown task kind \"%s\"", name);
}

/* --- units --------------------------------------------------------------------------------- */

enum { NO_MOVE = 255 };
/* clang-format off */
#define NO_MOVES {NO_MOVE, NO_MOVE, NO_MOVE, NO_MOVE, NO_MOVE, NO_MOVE}

/* clang-format off: the tables are the documentation */
static const uint8_t unit_moves[UNIT_N_STATES][UNIT_N_EVENTS] = {
    /*                  LEASE        SETTLE     RETURN      EXHAUST    RETRY       CANCEL */
    [UNIT_READY] =     {UNIT_LEASED, UNIT_DONE, NO_MOVE,    UNIT_DEAD, NO_MOVE,    UNIT_CANCELLED},
    [UNIT_LEASED] =    {UNIT_LEASED, UNIT_DONE, UNIT_READY, UNIT_DEAD, NO_MOVE,    UNIT_CANCELLED},
    [UNIT_DONE] =      NO_MOVES,
    [UNIT_DEAD] =      {NO_MOVE,     UNIT_DONE, NO_MOVE,    NO_MOVE,   UNIT_READY, UNIT_CANCELLED},
    [UNIT_CANCELLED] = NO_MOVES,
};
/* clang-format on */
/* clang-format on */

bool unit_transition(uint8_t *state, enum unit_event event)
{
    const uint8_t next = unit_moves[*state][event];
    if (next == NO_MOVE) return false;
    *state = next;
    return true;
}

const char *unit_state_name(enum unit_state state)
{
    static const char *const names[UNIT_N_STATES] = {
        [UNIT_READY] = "ready", [UNIT_LEASED] = "leased",       [UNIT_DONE] = "done",
        [UNIT_DEAD] = "dead",   [UNIT_CANCELLED] = "cancelled",
    };
    return (unsigned)state < UNIT_N_STATES ? names[state] : "?";
}

/* --- sweeps -------------------------------------------------------------------------------- */

/* clang-format off */
#define _ NO_MOVE
#define QUEUED SWEEP_QUEUED
#define RUNS   SWEEP_RUNNING
#define PAUSED SWEEP_PAUSED
#define ENDS   SWEEP_FINISHED
#define FAILS  SWEEP_FAILED
#define GONE   SWEEP_CANCELLED
static const uint8_t sweep_moves[SWEEP_N_STATES][SWEEP_N_EVENTS] = {
    /*                   START PAUSE   RESUME FINISH FAIL   RETRY   CANCEL */
    [SWEEP_QUEUED] =    {RUNS, PAUSED, _,     _,     FAILS, _,      GONE},
    [SWEEP_RUNNING] =   {_,    PAUSED, _,     ENDS,  FAILS, _,      GONE},
    [SWEEP_PAUSED] =    {_,    _,      RUNS,  _,     FAILS, _,      GONE},
    [SWEEP_FINISHED] =  {_,    _,      _,     _,     _,     _,      _},
    [SWEEP_FAILED] =    {_,    _,      _,     _,     _,     QUEUED, GONE},
    [SWEEP_CANCELLED] = {_,    _,      _,     _,     _,     _,      _},
};
#undef QUEUED
#undef RUNS
#undef PAUSED
#undef ENDS
#undef FAILS
#undef GONE
/* clang-format on */
#undef _

bool sweep_transition(enum sweep_state *state, enum sweep_event event)
{
    const uint8_t next = sweep_moves[*state][event];
    if (next == NO_MOVE) return false;
    *state = (enum sweep_state)next;
    return true;
}

static const char *const sweep_names[SWEEP_N_STATES] = {
    [SWEEP_QUEUED] = "queued",     [SWEEP_RUNNING] = "running", [SWEEP_PAUSED] = "paused",
    [SWEEP_FINISHED] = "finished", [SWEEP_FAILED] = "failed",   [SWEEP_CANCELLED] = "cancelled",
};

const char *sweep_state_name(enum sweep_state state)
{
    return (unsigned)state < SWEEP_N_STATES ? sweep_names[state] : "?";
}

status_t sweep_state_parse(const char *name, enum sweep_state *out, struct error *err)
{
    for (unsigned i = 0; i < SWEEP_N_STATES; i++)
        if (strcmp(name, sweep_names[i]) == 0) {
            *out = (enum sweep_state)i;
            return ST_OK;
        }
    return error_set(err, ST_CORRUPT, "unknown sweep state \"%s\"", name);
}

bool sweep_state_is_final(enum sweep_state state)
{
    return state == SWEEP_FINISHED || state == SWEEP_FAILED || state == SWEEP_CANCELLED;
}

bool sweep_state_is_over(enum sweep_state state)
{
    return state == SWEEP_FINISHED || state == SWEEP_CANCELLED;
}
