/* What an agent is told of its own work: earlier labels and what became of them, for the next
 * hypothesis; its label and the texts already tried, for the next experiments.
 *
 * Shown are experiments that came out otherwise than predicted, and explain windows that a judge
 * who knew only the label got wrong. Nothing here takes validate or test windows. All texts are
 * data (prompt_data.h). Pure; any thread. */
#ifndef COORDINATOR_SESSION_SESSION_PROMPTS_H
#define COORDINATOR_SESSION_SESSION_PROMPTS_H

#include "common/buffer.h"
#include "coordinator/session/feature_case.h"
#include "coordinator/session/session_rounds.h"

/* The fields that the templates refine.txt and experiments.txt must use: those of an explainer's
 * prompt and these. */
extern const char *const PROMPT_REFINE_FIELDS[];
extern const char *const PROMPT_DESIGN_FIELDS[];
enum {
    PROMPT_N_REFINE_FIELDS = 3,
    PROMPT_N_DESIGN_FIELDS = 5,
    PROMPT_SHOWN_FAILURES = 8, /* failed experiments shown of a round */
    PROMPT_SHOWN_WRONG = 6     /* explain windows shown of the last tested round */
};

/* The explainer's prompts, by the names of their templates. */
enum session_prompt_kind {
    SESSION_PROMPT_EXPLAINER,
    SESSION_PROMPT_REFINE,
    SESSION_PROMPT_EXPERIMENTS,
    SESSION_N_PROMPT_KINDS
};
const char *session_prompt_kind_name(enum session_prompt_kind kind); /* "explainer", ... */

/* How much is told: a prompt that may not be longer gets the labels alone. */
enum session_prompt_detail { SESSION_PROMPT_FULL, SESSION_PROMPT_BRIEF };

/* {{history}}: every round before the last in `rounds`, which is the one being made. `checked`
 * holds the explain windows that were judged; NULL: none are shown. Errors: ST_NO_MEMORY,
 * ST_TOO_LARGE. */
MUST_CHECK status_t session_prompt_history(struct buffer *out, const struct session_rounds *rounds,
                                           const struct case_split *checked,
                                           const struct token_texts *texts,
                                           enum session_prompt_detail detail, struct error *err);

/* {{tried}}: the texts of earlier rounds, one a line, the latest first. */
MUST_CHECK status_t session_prompt_tried(struct buffer *out, const struct session_rounds *rounds,
                                         enum session_prompt_detail detail, struct error *err);

#endif
