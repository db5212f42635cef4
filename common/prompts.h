/* What `prompts` tasks are asked: a prompt set made by a generator, or the user's own file with its
 * texts tokenized (worker/prompts/README.md). One unit.
 *
 *   spec     {"kind":"prompts", "model", "fingerprint", "shuffle_seed" (optional),
 *             "bos": "auto" | "true" | "false", and either
 *             "generator": name, "n_prompts": 1.., "seed": 0..,
 *             "n_tokens": T          induction: tokens of a prompt, BOS included
 *             "corruption": word     ioi, optional: "s2_io_flip" (default) or "abc"
 *             or
 *             "source": what errors call the user's file}
 *   payload  with "source" the file, JSON lines; else not read
 *   result   a prompt set, JSON lines of token ids alone (coordinator/circuit/prompt_set.h); line N
 *            of a user's file is line N of the result
 *
 * Pure; any thread. */
#ifndef COMMON_PROMPTS_H
#define COMMON_PROMPTS_H

#include "common/error.h"

enum prompt_generator {
    GENERATOR_INDUCTION,
    GENERATOR_IOI,
    GENERATOR_GREATER_THAN,
    GENERATOR_GENDERED_PRONOUN,
    GENERATOR_SUBJECT_VERB
};

enum {
    PROMPT_N_GENERATORS = GENERATOR_SUBJECT_VERB + 1,
    PROMPTS_MAX_PROMPTS = 100000,
    PROMPTS_MIN_TOKENS = 4, /* of an induction prompt */
    PROMPTS_MAX_TOKENS = 4096,
    PROMPTS_MAX_ANSWERS = 1024,                /* alternatives, of each side */
    PROMPTS_MAX_FILE_BYTES = 64 * 1024 * 1024, /* of a user's file */
    PROMPTS_MAX_RESULT_BYTES = 256 * 1024 * 1024
};

/* "induction", "ioi", "greater_than", "gendered_pronoun", "subject_verb"; or "?". */
const char *prompt_generator_name(enum prompt_generator generator);
/* Errors: ST_BAD_INPUT, naming those that there are. */
MUST_CHECK status_t prompt_generator_parse(const char *name, enum prompt_generator *out,
                                           struct error *err);

#endif
