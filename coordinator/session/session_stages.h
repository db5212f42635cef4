/* The stages of a session and the moves between them, in one table.
 *
 *      OPEN --------------------------------------------------------------.
 *        |                                                                |
 *        v                                                                |
 *   HYPOTHESISE <-------------------.     one call: a label               |
 *        |  ^                       |                                     |
 *        |  `-- no label, rounds left                                     |
 *        v                          |                                     |
 *     DESIGN                        |     one call: texts to try          |
 *        |                          |                                     |
 *        v                          |                                     |
 *    EXPERIMENT                     |     probes: what the model does     |
 *        |                          |                                     |
 *        v                          |                                     |
 *     VALIDATE --- not settled -----'     calls: the judge on validate    |
 *        |                                and on explain windows          |
 *        v                                                                v
 *      TEST <-------------------------------------------------------------'
 *        |                                calls: the judge on test and ood, once
 *        |-- several meanings --> DISTINGUISH     calls: a label for each
 *        |                             |
 *        |                             v
 *        |                          MEANINGS      calls: the judge on the test windows of each
 *        v                             |
 *      DONE <--------------------------'
 *
 *   agentic      all of it
 *   single_pass  OPEN, HYPOTHESISE, TEST, meanings, DONE
 *   score_only   OPEN, TEST, meanings, DONE: the label was brought
 *
 * OPEN and HYPOTHESISE may end a session: without a label there is nothing to go on with. */
#ifndef COORDINATOR_SESSION_SESSION_STAGES_H
#define COORDINATOR_SESSION_SESSION_STAGES_H

#include <stdbool.h>

enum session_mode { SESSION_SINGLE_PASS, SESSION_AGENTIC, SESSION_SCORE_ONLY };
enum { SESSION_N_MODES = 3 };

enum session_stage {
    SESSION_OPEN,
    SESSION_HYPOTHESISE,
    SESSION_DESIGN,
    SESSION_EXPERIMENT,
    SESSION_VALIDATE,
    SESSION_TEST,
    SESSION_DISTINGUISH,
    SESSION_MEANINGS,
    SESSION_DONE
};
enum { SESSION_N_STAGES = 9 };

const char *session_mode_name(enum session_mode mode);    /* "agentic", ... */
const char *session_stage_name(enum session_stage stage); /* "design", ... */

/* May a session of this mode move from one stage to the other? */
bool session_stage_may_move(enum session_mode mode, enum session_stage from, enum session_stage to);

#endif
