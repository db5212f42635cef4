/* The judge's prompt, detection or fuzzing: a label and numbered windows, one line each.
 *
 *   Text 1: the cat sat on the mat          (fuzzing: the <<cat>> sat on the mat)
 *   Text 2: ...
 *
 * The same for a feature's own label and for a foreign one (the null). Pure; any thread. */
#ifndef COORDINATOR_SESSION_PROMPT_CLASSIFICATION_H
#define COORDINATOR_SESSION_PROMPT_CLASSIFICATION_H

#include "coordinator/session/prompt_items.h"
#include "coordinator/session/prompt_messages.h"
#include "coordinator/session/prompt_template.h"

/* The fields its template must use. */
extern const char *const PROMPT_CLASSIFICATION_FIELDS[];
enum { PROMPT_N_CLASSIFICATION_FIELDS = 3 };

struct prompt_classification_params {
    const struct prompt_template *template_;
    const struct token_texts *texts;
    const char *label; /* UTF-8, NUL-terminated; inserted as data */
    const struct prompt_items *items;
    const struct prompt_plan *plan;
};

/* Append prompt `index` of the plan to `messages`. Errors: ST_BAD_INPUT (template, empty label),
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_classification_build(const struct prompt_classification_params *params,
                                                size_t index, struct prompt_messages *messages,
                                                struct error *err);

#endif
