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
/* The stage VALIDATE is over: its figures into the round. */
status_t session_score_round(struct label_session *session, const struct feature_case *feature_case,
                             struct error *err);

static inline struct session_round *session_this_round(const struct label_session *session)
{
    return &session->rounds.list[session->rounds.n - 1];
}

#endif
