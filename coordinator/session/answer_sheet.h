/* A judge's answers about one plan of prompts, as they come: one small number per item, in the
 * order of the prompts, so that a session that waits needs neither windows nor items. Once they
 * are all in, plan and items (rebuilt: feature_case.h) turn them into judgements.
 *
 * An item whose prompt failed, or that was never answered, is ANSWER_FAILED: a wrong answer. A
 * sheet belongs to one session. */
#ifndef COORDINATOR_SESSION_ANSWER_SHEET_H
#define COORDINATOR_SESSION_ANSWER_SHEET_H

#include "coordinator/session/prompt_items.h"

#include <stdint.h>

struct answer_sheet {
    int8_t *answers; /* [n_items] enum judge_answer, owned */
    uint32_t n_items, n_prompts;
};

/* Errors: ST_NO_MEMORY. */
MUST_CHECK status_t answer_sheet_init(struct answer_sheet *sheet, const struct prompt_plan *plan,
                                      struct error *err);
void answer_sheet_fini(struct answer_sheet *sheet); /* fine twice */

/* How many items prompt `index` < n_prompts holds. */
size_t answer_sheet_n_of(const struct answer_sheet *sheet, size_t index);
/* Its answers [answer_sheet_n_of()]. */
void answer_sheet_fill(struct answer_sheet *sheet, size_t index, const enum judge_answer *answers);

/* judgements [items->n_items], by item. `plan` and `items` are those the sheet was made for:
 * ST_INTERNAL if their sizes differ. */
MUST_CHECK status_t answer_sheet_judge(const struct answer_sheet *sheet,
                                       const struct prompt_plan *plan,
                                       const struct prompt_items *items,
                                       struct judgement *judgements, struct error *err);

#endif
