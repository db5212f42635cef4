/* The explainer's prompt: top and quantile windows of the explain split with marked activations,
 * and some silent ones.
 *
 *   Example 1: the <<cat>> sat on a <<dog>>
 *   Strength: " cat" 10, " dog" 4
 *
 * Strengths are floor(10 * value / largest value shown), as Bills et al. (2023) do it. Tokens of
 * at least 0.3 of their window's maximum are highlighted and listed. When the prompt would pass
 * max_prompt_tokens, by the ratio that the provider's counts gave, examples are left out: silent
 * ones from the last, then firing ones from the last, so that the strongest always stays; the
 * messages say that they are cut. The
 * prompts of later rounds and of experiments show the same examples beside further fields
 * (session_prompts.h). Pure; any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_EXPLAINER_H
#define COORDINATOR_SESSION_PROMPT_EXPLAINER_H

#include "coordinator/session/prompt_messages.h"
#include "coordinator/session/prompt_template.h"
#include "coordinator/session/window.h"

enum { PROMPT_LISTED_TOKENS = 12 }; /* strengths given per example, largest first */

/* The fields its template must use. */
extern const char *const PROMPT_EXPLAINER_FIELDS[];
enum { PROMPT_N_EXPLAINER_FIELDS = 2, PROMPT_MAX_MORE_FIELDS = 8 };

struct prompt_explainer_params {
    const struct prompt_template *template_;
    const struct token_texts *texts;
    const struct window *firing; /* [n_firing], explain split, in order of importance */
    size_t n_firing;
    const struct window *silent; /* [n_silent] */
    size_t n_silent;
    size_t max_prompt_tokens;        /* by estimate; 0: no limit */
    double tokens_per_byte;          /* prompt_messages_tokens() */
    const struct prompt_field *more; /* [n_more] further fields of the template, borrowed */
    size_t n_more;                   /* at most PROMPT_MAX_MORE_FIELDS */
};

struct prompt_explainer_shown {
    size_t n_firing; /* of the first ones given */
    size_t n_silent;
    size_t n_prompt_tokens; /* estimate */
};

/* Append to `messages`. Firing examples are shown in order of falling maximum, whatever their
 * order of importance. `shown` may be NULL. Errors: ST_BAD_INPUT (no firing window, a window
 * whose kind is not true, template), ST_TOO_LARGE if not even one example fits, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_explainer_build(const struct prompt_explainer_params *params,
                                           struct prompt_messages *messages,
                                           struct prompt_explainer_shown *shown, struct error *err);

#endif
