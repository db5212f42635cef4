/* The lexical explainer: the token or n-gram pattern that best separates the firing windows of a
 * feature from the silent ones. It needs no language model: it is the default, the baseline of
 * every other label, and what lets the whole loop be tested without a network (DESIGN 5.7).
 *
 *   candidates of twelve families (lexical_candidates.h)
 *     -> in each family, greedy unions of up to eight terms
 *     -> the family is chosen by cross-validation over folds of documents
 *     -> the chosen family is fitted once more on all windows
 *
 * The objective is balanced accuracy of "does the window fire", half of it measured on windows
 * (silent ones of both kinds weighing the same) and half expected from the rate at which silent
 * tokens match, plus 0.3 of the F1 over tokens (which tokens fire), less 0.01 for every
 * further term. Only explain windows may be passed in. The result depends on the set of windows,
 * not on their order; about a millisecond for a feature of 120 windows of 32 tokens. */
#ifndef COORDINATOR_SESSION_LEXICAL_H
#define COORDINATOR_SESSION_LEXICAL_H

#include "coordinator/session/lexical_candidates.h"
#include "coordinator/session/score.h"

struct lexical_label {
    struct lexical_pattern pattern;
    char text[LEXICAL_LABEL_SIZE];
    enum lexical_family family;
    struct score_value held_out; /* mean balanced accuracy over the held-out folds; undefined
                                    when no fold held both classes */
    struct score_value fitted;   /* balanced accuracy on the windows it was fitted to */
};

/* Errors: those of lexical_candidates_find(); ST_NOT_FOUND if nothing can be said (no strong
 * token has a usable term). `out` untouched on failure. */
MUST_CHECK status_t lexical_explain(struct lexical_workspace *workspace,
                                    const struct window *windows, size_t n_windows,
                                    struct lexical_label *out, struct error *err);

#endif
