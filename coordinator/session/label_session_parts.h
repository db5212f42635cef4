/* What the files of the session's machine share. Private to label_session*.c. */
#ifndef COORDINATOR_SESSION_LABEL_SESSION_PARTS_H
#define COORDINATOR_SESSION_LABEL_SESSION_PARTS_H

#include "coordinator/session/label_session.h"

/* label_session_judge.c */

/* Is this sheet and score to be judged in the present stage? */
bool session_wants_sheet(const struct label_session *session, enum session_sheet sheet,
                         enum case_score score);
/* The label that a sheet is about; NULL without one. */
const struct prompt_label *session_sheet_label(const struct label_session *session,
                                               enum session_sheet sheet);
/* Fresh sheets and an ask per prompt, for those of the present stage that have windows. */
status_t session_open_sheets(struct label_session *session, const struct feature_case *feature_case,
                             struct error *err);
/* Is there a label to test, of a feature whose score is claimed? */
bool session_claims_score(const struct label_session *session);
/* Where the coins of a random judge come from, for one set of windows; label must be there. */
struct random_judge_params;
struct random_judge_params session_coins(const struct label_session *session,
                                         const struct feature_case *feature_case,
                                         enum session_sheet sheet, uint64_t windows);
/* The answers that an ASK_JUDGE or ASK_MEANING_JUDGE fills. */
static inline const struct answer_sheet *session_answers(const struct label_session *session,
                                                         const struct session_ask *ask)
{
    if (ask->kind == ASK_MEANING_JUDGE) return &session->meanings[ask->meaning].sheet;
    return ask->judge ? &session->panel[ask->judge - 1][ask->score]
                      : &session->sheets[ask->sheet][ask->score];
}
static inline struct answer_sheet *session_answers_open(struct label_session *session,
                                                        const struct session_ask *ask)
{
    if (ask->kind == ASK_MEANING_JUDGE) return &session->meanings[ask->meaning].sheet;
    return ask->judge ? &session->panel[ask->judge - 1][ask->score]
                      : &session->sheets[ask->sheet][ask->score];
}
/* The stage VALIDATE is over: its figures into the round. */
status_t session_score_round(struct label_session *session, const struct feature_case *feature_case,
                             struct error *err);

/* label_session_simulate.c */

/* At the stage TEST: a sheet, and an ask per window behind session->asks[n_asks], for which there
 * is room. */
status_t session_open_simulation(struct label_session *session,
                                 const struct feature_case *feature_case, struct error *err);
/* Append the request about window `index`. */
status_t session_simulation_request(const struct label_session *session, size_t index,
                                    struct buffer *out, struct error *err);
enum simulation_form session_simulation_form(const struct session_rules *rules);

/* label_session_meanings.c */

/* Does a language model name the meanings? Else their patterns do. */
bool session_explains_meanings(const struct label_session *session);
/* Room for the meanings that the case has groups for. */
status_t session_meanings_init(struct label_session *session,
                               const struct feature_case *feature_case, struct error *err);
void session_meanings_fini(struct label_session *session);
/* Entering the two stages. */
status_t session_enter_distinguish(struct label_session *session,
                                   const struct feature_case *feature_case, struct error *err);
status_t session_enter_meanings(struct label_session *session,
                                const struct feature_case *feature_case, struct error *err);
/* The reply to an ASK_MEANING_LABEL; NULL content: it failed for good. */
void session_take_meaning_label(struct label_session *session, size_t meaning, const char *content,
                                size_t n_bytes);
/* label_session_intervene.c: what a session of the intervention score does in place of all else */
status_t session_intervention_advance(struct label_session *session, struct error *err);
status_t session_intervention_messages(const struct label_session *session,
                                       const struct session_ask *ask,
                                       struct prompt_messages *messages, struct error *err);
void session_take_choice(struct label_session *session, const struct session_ask *ask,
                         const char *content, size_t n_bytes);

/* label_session.c */
status_t session_make_asks(struct label_session *session, size_t n, struct error *err);

static inline struct session_round *session_this_round(const struct label_session *session)
{
    return &session->rounds.list[session->rounds.n - 1];
}

#endif
