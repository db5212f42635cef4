/* What the files of prompt_split.h share; included by them alone. */
#ifndef COORDINATOR_CIRCUIT_PROMPT_SPLIT_PARTS_H
#define COORDINATOR_CIRCUIT_PROMPT_SPLIT_PARTS_H

#include "coordinator/circuit/prompt_split.h"

/* A prompt in the order of the split. */
struct placed {
    uint64_t place; /* seeded hash of the clean tokens */
    uint32_t prompt;
    uint32_t group; /* of equal clean tokens, from 0 in this order */
};

/* Behind `share` of n groups, with at least n_before before and n_behind behind. */
uint32_t prompt_split_cut(double share, uint32_t n, uint32_t n_before, uint32_t n_behind);

/* The split within each template (prompt_split_templates.c), of prompts without a set, or of the
 * search prompts of a file that names no reference prompts: those of its other sets keep their
 * part. Errors: ST_BAD_INPUT (a template with one prompt; no search or verdict prompt left),
 * ST_NO_MEMORY. */
MUST_CHECK status_t prompt_split_by_template(const struct prompt_set *set, const double *shares,
                                             const struct placed *placed, enum prompt_part *parts,
                                             struct error *err);

#endif
