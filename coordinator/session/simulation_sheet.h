/* A judge's predictions for the windows that are simulated of one label, as they come.
 *
 *   opened   judged windows -> some of them, spread over strengths; the tokens as a judge sees them
 *   waiting  tokens and predictions alone: a session that waits holds no windows (answer_sheet.h)
 *   read     the same windows (rebuilt: feature_case.h) and the predictions -> simulation.h
 *
 * One window is one call. Firing windows are taken evenly from the strongest to the weakest of
 * those that are judged, and as many random silent ones (Bills et al. 2023 mix them half and half);
 * hard ones are left to detection. A window whose reply was not read, or that was never answered,
 * is a failed one. A sheet belongs to one session. */
#ifndef COORDINATOR_SESSION_SIMULATION_SHEET_H
#define COORDINATOR_SESSION_SIMULATION_SHEET_H

#include "coordinator/session/session_reply.h"
#include "coordinator/session/simulation.h"
#include "coordinator/session/simulation_prompt.h"
#include "coordinator/session/window_select.h"

struct simulated_text {
    struct simulation_tokens tokens; /* until it is answered */
    double *predicted;               /* [n_tokens], owned; NULL: failed, or not answered */
    uint32_t n_tokens;
    bool is_expected; /* from log probabilities, not from the numbers that were written */
};

struct simulation_sheet {
    struct simulated_text *texts; /* [n_windows], owned; NULL: not asked */
    uint32_t n_windows;
};

/* A score with how its windows were read; `is_there`: the label was simulated at all. */
struct simulation_outcome {
    bool is_there;
    enum simulation_form form;
    size_t n_expected; /* windows read as expected values of log probabilities */
    struct simulation_score score;
};

/* Indices of the simulated windows into judged->windows, firing ones first: out [2 * n_each].
 * Returns how many. */
size_t simulation_choose(const struct window_selection *judged, size_t n_each, size_t *out);

/* Errors: ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t simulation_sheet_init(struct simulation_sheet *sheet,
                                          const struct window_selection *judged, size_t n_each,
                                          const struct token_texts *texts, struct error *err);
void simulation_sheet_fini(struct simulation_sheet *sheet); /* fine twice */

/* The reply to window `index`, asked in `form`; *was_read: false, it is a failed one. Errors:
 * ST_NO_MEMORY. */
MUST_CHECK status_t simulation_sheet_fill(struct simulation_sheet *sheet, size_t index,
                                          enum simulation_form form,
                                          const struct session_reply *reply, bool *was_read,
                                          struct error *err);

/* The score over the windows of `judged`, those of the sheet's opening (ST_INTERNAL if they are
 * not). r2 and absdev stay undefined: a calibration would need calls about other windows.
 * out->form is the caller's. Errors: those of simulation_measure(). */
MUST_CHECK status_t simulation_sheet_measure(const struct simulation_sheet *sheet,
                                             const struct window_selection *judged, size_t n_each,
                                             const struct bootstrap_params *params,
                                             struct simulation_outcome *out, struct error *err);

#endif
