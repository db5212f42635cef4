/* The prompts of an ablate task, as its spec lists them:
 *
 *   "n_ctx": N, "prompts": [{"clean": [id...], "corrupted": [id...], "answer_at": t,
 *                            "answers": [id...], "distractors": [id...], "template": k}...],
 *   "reference": [{"tokens": [id...], "template": k}...],
 *   "positions": [[[t...] of every prompt]...]
 *
 * Clean and corrupted have the same length; answer_at is below it. positions are numbered from 1;
 * 0 is all of them. Immutable once read. */
#ifndef WORKER_TASKS_ABLATE_PROMPTS_H
#define WORKER_TASKS_ABLATE_PROMPTS_H

#include "common/ablate.h"

#include <jansson.h>

enum { ABLATE_MAX_CTX = 4096, ABLATE_MAX_REFERENCE = 65536, ABLATE_MAX_ANSWERS = 1024 };
enum { ABLATE_MAX_TEMPLATES = 1024 };

/* A list of token sequences, padded to n_ctx. */
struct ablate_rows {
    size_t n;
    uint32_t *tokens;  /* [n, n_ctx] */
    uint32_t *lengths; /* [n] */
    uint32_t *templates;
};

struct ablate_answers {
    uint32_t *ids;           /* owned */
    size_t n, n_distractors; /* answers first, then distractors */
};

struct ablate_prompts {
    size_t n_ctx;
    struct ablate_rows clean, corrupted, reference;
    uint32_t *answer_at;                  /* [n] */
    struct ablate_answers *answers;       /* [n] */
    uint8_t *masks[ABLATE_MAX_POSITIONS]; /* [n * n_ctx] each */
    size_t n_masks;
    uint32_t *columns; /* every answer and distractor once, ascending */
    size_t n_columns;
};

/* On ST_OK the caller owns *out. Errors: ST_BAD_INPUT, ST_PROTOCOL, naming the key and the prompt;
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t ablate_prompts_read(struct ablate_prompts *out, const json_t *spec,
                                        struct error *err);
void ablate_prompts_fini(struct ablate_prompts *prompts);

#endif
