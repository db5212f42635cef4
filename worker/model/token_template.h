/* The "post_processor" of tokenizer.json: which special tokens go around a text's tokens.
 * Supported: TemplateProcessing (its "single" form), ByteLevel (changes no id), Sequence. */
#ifndef WORKER_MODEL_TOKEN_TEMPLATE_H
#define WORKER_MODEL_TOKEN_TEMPLATE_H

#include "common/error.h"
#include "worker/model/token_list.h"

#include <jansson.h>

struct token_template {
    struct token_list before, after;
};

/* Read the value; null and absent make an empty template. The owner calls
 * token_template_fini(). Errors: ST_UNSUPPORTED (names it), ST_CORRUPT, ST_NO_MEMORY. */
MUST_CHECK status_t token_template_load(struct token_template *out, json_t *value,
                                        struct error *err);
void token_template_fini(struct token_template *token_template);

#endif
