/* The judge that knows nothing: every answer is a fair coin (control: random_judge).
 *
 * What it says depends on the seed, the feature, the windows that are judged and the label's text
 * alone: asked again about the same label it says the same, and about another label, as the null
 * does, something else. It asks nobody and never fails. Pure; any thread. */
#ifndef COORDINATOR_SESSION_RANDOM_JUDGE_H
#define COORDINATOR_SESSION_RANDOM_JUDGE_H

#include "coordinator/session/prompt_items.h"
#include "coordinator/session/simulation_sheet.h"

struct random_judge_params {
    uint64_t seed;     /* of the sweep */
    uint64_t subject;  /* names the feature */
    uint64_t windows;  /* names split and score: which windows of it these are */
    const char *label; /* that is judged */
};

/* judgements [items->n_items] */
void random_judge(const struct random_judge_params *params, const struct prompt_items *items,
                  struct judgement *judgements);
/* The same for the simulation score: every number of the sheet is one of 0 to 10, all alike.
 * Errors: ST_NO_MEMORY. */
MUST_CHECK status_t random_judge_simulate(const struct random_judge_params *params,
                                          struct simulation_sheet *sheet, struct error *err);

#endif
