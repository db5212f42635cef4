#include "coordinator/session/session_stages.h"

#include <stddef.h>

enum {
    SINGLE = 1u << SESSION_SINGLE_PASS,
    AGENTIC = 1u << SESSION_AGENTIC,
    SCORE = 1u << SESSION_SCORE_ONLY,
    ALL = SINGLE | AGENTIC | SCORE
};

/* Which modes may make the move from row to column. */
static const unsigned char moves[SESSION_N_STAGES][SESSION_N_STAGES] = {
    [SESSION_OPEN] = {[SESSION_HYPOTHESISE] = SINGLE | AGENTIC,
                      [SESSION_TEST] = ALL, /* score_only, and the foreign label of the null */
                      [SESSION_DONE] = ALL},
    [SESSION_HYPOTHESISE] = {[SESSION_HYPOTHESISE] = AGENTIC,
                             [SESSION_DESIGN] = AGENTIC,
                             [SESSION_TEST] = SINGLE | AGENTIC,
                             [SESSION_DONE] = SINGLE | AGENTIC},
    [SESSION_DESIGN] = {[SESSION_EXPERIMENT] = AGENTIC, [SESSION_VALIDATE] = AGENTIC},
    [SESSION_EXPERIMENT] = {[SESSION_VALIDATE] = AGENTIC},
    [SESSION_VALIDATE] = {[SESSION_HYPOTHESISE] = AGENTIC, [SESSION_TEST] = AGENTIC},
    [SESSION_TEST] = {[SESSION_DISTINGUISH] = ALL, [SESSION_DONE] = ALL},
    [SESSION_DISTINGUISH] = {[SESSION_MEANINGS] = ALL},
    [SESSION_MEANINGS] = {[SESSION_DONE] = ALL},
};

const char *session_mode_name(enum session_mode mode)
{
    static const char *const names[SESSION_N_MODES] = {"single_pass", "agentic", "score_only"};
    return (unsigned)mode < SESSION_N_MODES ? names[mode] : NULL;
}

const char *session_stage_name(enum session_stage stage)
{
    static const char *const names[SESSION_N_STAGES] = {"open",        "hypothesise", "design",
                                                        "experiment",  "validate",    "test",
                                                        "distinguish", "meanings",    "done"};
    return (unsigned)stage < SESSION_N_STAGES ? names[stage] : NULL;
}

bool session_stage_may_move(enum session_mode mode, enum session_stage from, enum session_stage to)
{
    return (unsigned)from < SESSION_N_STAGES && (unsigned)to < SESSION_N_STAGES &&
           (moves[from][to] & (1u << mode));
}
