/* The tokens of a vocabulary that are ordinary words: a space and at least two ASCII letters, no
 * special token, no fragment of bytes, and what the tokenizer makes of that word when it follows
 * another. What random sequences are drawn from. */
#ifndef WORKER_PROMPTS_ORDINARY_WORDS_H
#define WORKER_PROMPTS_ORDINARY_WORDS_H

#include "worker/prompts/prompt_tokenizer.h"

/* Append their ids, ascending. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t ordinary_words_list(const struct prompt_tokenizer *tokenizer,
                                        struct token_list *out, struct error *err);

#endif
