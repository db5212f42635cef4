#include "common/prompts.h"

#include <string.h>

static const char *const names[PROMPT_N_GENERATORS] = {
    [GENERATOR_INDUCTION] = "induction",       [GENERATOR_IOI] = "ioi",
    [GENERATOR_GREATER_THAN] = "greater_than", [GENERATOR_GENDERED_PRONOUN] = "gendered_pronoun",
    [GENERATOR_SUBJECT_VERB] = "subject_verb",
};

const char *prompt_generator_name(enum prompt_generator generator)
{
    return (unsigned)generator < PROMPT_N_GENERATORS ? names[generator] : "?";
}

status_t prompt_generator_parse(const char *name, enum prompt_generator *out, struct error *err)
{
    for (unsigned i = 0; i < PROMPT_N_GENERATORS; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum prompt_generator)i;
            return ST_OK;
        }
    return error_set(err, ST_BAD_INPUT,
                     "\"%.40s\" is no generator: induction, ioi, greater_than, gendered_pronoun or "
                     "subject_verb",
                     name);
}
