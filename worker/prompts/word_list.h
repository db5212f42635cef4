/* Words that are one token each behind a space: what may stand in a slot of a sentence, so that all
 * prompts of a template have the same length. Words that the tokenizer cuts are left out, in the
 * order of the table (word_tables.h). Read-only once made; any thread. */
#ifndef WORKER_PROMPTS_WORD_LIST_H
#define WORKER_PROMPTS_WORD_LIST_H

#include "worker/prompts/prompt_tokenizer.h"

struct prompt_word {
    const char *text; /* of the table, without its space */
    uint32_t id;
};

struct word_list {
    struct prompt_word *words; /* [n], owned */
    size_t n, n_offered;
};

/* `table` ends with NULL. Errors: ST_BAD_INPUT (fewer than n_needed are left: says how many, `what`
 * names them), ST_TOO_LARGE, ST_NO_MEMORY. On ST_OK the caller owns *out. */
MUST_CHECK status_t word_list_open(struct word_list *out, const struct prompt_tokenizer *tokenizer,
                                   const char *const *table, const char *what, size_t n_needed,
                                   struct error *err);
void word_list_fini(struct word_list *list); /* fine on a zeroed one */

/* Singular and plural; both are one token. */
struct word_forms {
    struct prompt_word forms[2];
};
struct forms_list {
    struct word_forms *words; /* [n], owned */
    size_t n, n_offered;
};

/* As word_list_open(); the table has singular, plural, singular, plural ... */
MUST_CHECK status_t forms_list_open(struct forms_list *out,
                                    const struct prompt_tokenizer *tokenizer,
                                    const char *const *table, const char *what, size_t n_needed,
                                    struct error *err);
void forms_list_fini(struct forms_list *list);

#endif
