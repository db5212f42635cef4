/* One line of a user's prompt set (user_prompts.h): texts in it replaced by token ids, everything
 * checked. One thread. */
#ifndef WORKER_PROMPTS_USER_PROMPT_LINE_H
#define WORKER_PROMPTS_USER_PROMPT_LINE_H

#include "worker/prompts/prompt_tokenizer.h"

#include <jansson.h>

/* `line` is changed in place; after an error it is good for nothing. Errors: ST_BAD_INPUT naming
 * the key, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t user_prompt_line_tokenize(const struct prompt_tokenizer *tokenizer,
                                              json_t *line, struct error *err);

#endif
