/* One prompt pair while it is made, and the line of a prompt set that it becomes
 * (coordinator/circuit/prompt_set.h). One thread. */
#ifndef WORKER_PROMPTS_PROMPT_DRAFT_H
#define WORKER_PROMPTS_PROMPT_DRAFT_H

#include "common/prompts.h"
#include "worker/prompts/prompt_tokenizer.h"
#include "worker/prompts/sentence.h"

enum { PROMPT_NAME_SIZE = 32, PROMPT_DRAFT_MAX_ANSWERS = 100, PROMPT_DRAFT_MAX_POSITIONS = 8 };

struct draft_position {
    const char *name; /* a literal */
    size_t index;
};

struct prompt_draft {
    char template_name[PROMPT_NAME_SIZE];
    struct token_text clean, corrupted;         /* owned; as many tokens each */
    struct buffer clean_text, corrupted_text;   /* owned */
    size_t slots[SENTENCE_MAX_SLOTS];           /* token of each slot of the clean sentence */
    uint32_t answers[PROMPT_DRAFT_MAX_ANSWERS]; /* [n_answers] */
    uint32_t distractors[PROMPT_DRAFT_MAX_ANSWERS];
    size_t n_answers, n_distractors, n_positions;
    struct draft_position positions[PROMPT_DRAFT_MAX_POSITIONS];
};

void prompt_draft_init(struct prompt_draft *draft);
void prompt_draft_fini(struct prompt_draft *draft);

/* Tokenize two fillings of one sentence into a draft that has no tokens yet. Checked: as many
 * tokens in both, every slot's word ends with its token at the same place in both. Errors:
 * ST_BAD_INPUT (names the sentence and why the tokenizer cannot say it), ST_TOO_LARGE,
 * ST_NO_MEMORY. */
MUST_CHECK status_t prompt_draft_sentences(struct prompt_draft *draft,
                                           const struct prompt_tokenizer *tokenizer,
                                           const struct sentence *clean,
                                           const struct sentence *corrupted, struct error *err);

void prompt_draft_position(struct prompt_draft *draft, const char *name, size_t index);

/* Append it as one line; the answer is at the last token. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_draft_print(const struct prompt_draft *draft, size_t id,
                                       struct buffer *out, struct error *err);

#endif
