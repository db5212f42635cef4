/* What a judge is asked about: windows, for fuzzing with highlighted tokens, dealt to prompts.
 *
 * Detection: one item per window. Fuzzing:
 *   firing window, its strong tokens highlighted                        truth: firing
 *   silent window, tokens at seeded random places highlighted           truth: silent, random
 *   hard window, highlights on its tokens of types that fire elsewhere  truth: silent, hard
 *   firing window, tokens highlighted at which it does not fire         truth: silent, hard
 * Highlights of the last three copy the runs of a firing item drawn at random: as many tokens as
 * the firing items have on average, in the same shapes, so that neither number nor length nor
 * place of highlights tells the classes apart (Delphi marks the same place in all negatives).
 *
 * The plan shuffles the items with a seed fixed by feature and purpose and cuts them into
 * prompts whose sizes differ by at most one: how many of a prompt's items fire varies as chance
 * has it. Items of one window, or of windows that overlap, are kept in different prompts. Give
 * the windows in a canonical order (window_select()'s): places and prompts depend on it.
 * Objects belong to one thread. */
#ifndef COORDINATOR_SESSION_PROMPT_ITEMS_H
#define COORDINATOR_SESSION_PROMPT_ITEMS_H

#include "coordinator/session/draw.h"
#include "coordinator/session/score.h"
#include "coordinator/session/window.h"

struct prompt_item {
    const struct window *window; /* borrowed */
    const bool *marks;           /* [window->n_tokens]; NULL for detection */
    enum window_kind truth;
};

struct prompt_items {
    struct prompt_item *items; /* [n_items], owned */
    size_t n_items;
    bool *marks; /* owned: what the items' marks point into */
};

/* On ST_OK the caller owns *out (prompt_items_fini); windows stay borrowed. Errors:
 * ST_NO_MEMORY, ST_TOO_LARGE. */
MUST_CHECK status_t prompt_items_detection(const struct window *windows, size_t n_windows,
                                           struct prompt_items *out, struct error *err);

/* n_wrong: firing windows that are asked about a second time with wrong tokens (as many as can
 * be marked so; 10 by default). Errors: as above, and ST_BAD_INPUT without a firing window. */
struct prompt_fuzz_params {
    uint64_t seed;
    uint64_t feature;
    size_t n_wrong;
};
MUST_CHECK status_t prompt_items_fuzzing(const struct window *windows, size_t n_windows,
                                         const struct prompt_fuzz_params *params,
                                         struct prompt_items *out, struct error *err);
void prompt_items_fini(struct prompt_items *items); /* fine twice */

struct prompt_plan {
    uint32_t *order; /* [n_items], owned: indices of items, prompt after prompt */
    size_t n_items;
    size_t n_prompts;
};

/* DRAW_DETECTION or DRAW_FUZZ names the shuffle. per_prompt >= 1. */
MUST_CHECK status_t prompt_plan_init(struct prompt_plan *out, const struct prompt_items *items,
                                     size_t per_prompt, struct draw draw, struct error *err);
void prompt_plan_fini(struct prompt_plan *plan); /* fine twice */

/* Items of prompt `index` < n_prompts: plan->order[first, first + *n). Returns first. */
size_t prompt_plan_range(const struct prompt_plan *plan, size_t index, size_t *n);

/* Write the judgements of prompt `index` into judgements[n_items], each at its item's index;
 * `answers` [n in that prompt] are its reply, NULL when it failed: then all its items, and no
 * others, are failures. */
void prompt_plan_judge(const struct prompt_plan *plan, const struct prompt_items *items,
                       size_t index, const enum judge_answer *answers,
                       struct judgement *judgements);

#endif
