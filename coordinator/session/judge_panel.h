/* Several judges and the same items: what each said, kept small, and whether they agree.
 *
 * The first judge is the one that decides; Cohen's kappa is between it and each of the others,
 * Fleiss' among all of them (agreement.h). One panel holds the items of one feature and score.
 * Many panels together say it of a sweep: the windows of all features are pooled, and the interval
 * is over documents still, since features share them. Pure; any thread. */
#ifndef COORDINATOR_SESSION_JUDGE_PANEL_H
#define COORDINATOR_SESSION_JUDGE_PANEL_H

#include "coordinator/session/agreement.h"

enum { JUDGE_PANEL_MAX = 5 };

struct judge_panel {
    uint64_t *document_keys; /* [n_items], owned; NULL: nothing was judged */
    int8_t *answers;         /* [n_judges, n_items] enum judge_answer, owned */
    size_t n_judges, n_items;
};

/* judges[n_judges][n_items], in one order of the items for all. On ST_OK the caller owns *out.
 * Errors: ST_NO_MEMORY, ST_BAD_INPUT (fewer than two judges or more than JUDGE_PANEL_MAX). */
MUST_CHECK status_t judge_panel_init(struct judge_panel *out, const struct judgement *const *judges,
                                     size_t n_judges, size_t n_items, struct error *err);
void judge_panel_fini(struct judge_panel *panel); /* fine twice */

struct panel_agreement {
    size_t n_judges;                             /* 0: nothing to compare */
    struct agreement cohen[JUDGE_PANEL_MAX - 1]; /* [n_judges - 1]: the first with each other */
    struct agreement fleiss;                     /* of more than two judges */
};

/* Of all items of panels[n_panels], each borrowed, in any order; those without items are passed
 * over. All others have the same judges (ST_BAD_INPUT). Errors: also those of agreement.h. */
MUST_CHECK status_t judge_panel_agree(const struct judge_panel *const *panels, size_t n_panels,
                                      const struct bootstrap_params *params,
                                      struct panel_agreement *out, struct error *err);

#endif
