/* Which prompts a circuit is searched on, which give the means that stand in for activations,
 * and on which the verdict is measured: three sets that share no prompt (statistics.md 4).
 *
 * Prompts are put in order of a seeded hash of their clean tokens and cut at the wanted shares;
 * prompts with the same clean tokens stay together. So the split depends on the set of prompts,
 * the seed and the shares alone. Where the file says what its prompts are for (prompt_set.h: set),
 * that holds; if it has search and held-out ones only, the search ones are cut in search and
 * reference by the same rule. With is_by_template both are done within each template, so that each
 * has a reference prompt (prompt_split_templates.c). Pure; any thread. */
#ifndef COORDINATOR_CIRCUIT_PROMPT_SPLIT_H
#define COORDINATOR_CIRCUIT_PROMPT_SPLIT_H

#include "coordinator/circuit/prompt_set.h"

enum prompt_part { PART_SEARCH, PART_REFERENCE, PART_VERDICT };
enum { PROMPT_N_PARTS = PART_VERDICT + 1 };

/* "search", "reference", "verdict". */
const char *prompt_part_name(enum prompt_part part);

struct prompt_split_params {
    uint64_t seed;
    double shares[PROMPT_N_PARTS]; /* > 0, sum 1 */
    bool is_by_template;           /* means are taken over templates */
};
/* 0.4, 0.2, 0.4, not by template */
struct prompt_split_params prompt_split_params_default(uint64_t seed);

/* parts [n_prompts]; n_in_part [PROMPT_N_PARTS] prompts of each, none empty. Errors: ST_BAD_INPUT
 * (shares; too few different prompts; by template: one with a single prompt; `set` given for some
 * prompts only, or two of them for the same clean tokens), ST_NO_MEMORY. */
MUST_CHECK status_t prompt_split(const struct prompt_set *set,
                                 const struct prompt_split_params *params, enum prompt_part *parts,
                                 size_t n_in_part[PROMPT_N_PARTS], struct error *err);

#endif
