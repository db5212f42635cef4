/* A user's prompt set: JSON lines in which prompts are token ids, or texts that are tokenized here.
 *
 * Keys as coordinator/circuit/prompt_set.h has them, each in ids or in text:
 *   "clean", "corrupted"        both texts, or both lists of ids. Texts get BOS as the request
 *                               says; ids are taken as they are. Both come out equally long or the
 *                               line is refused
 *   "answers", "distractors",   ids, or texts that are one token behind the clean prompt (" Mary"
 *   "answer", "distractor"      with its space where the model writes one)
 *   "position"                  of the answer, in tokens, BOS counted, negative from the end;
 *                               default the last. Also read: "answer_position"
 *   "positions"                 {"end": -1, "s2": " John#2"}: a number of the same kind, or a text
 *                               of the clean prompt: the token in which it ends; "#2": the second
 *                               time that it comes, needed where it comes more than once
 *   "template", "id", "set", "clean_text", "corrupted_text"   passed on
 *
 * Line N of the result is line N of the file; blank lines stay. An unknown key is refused by name.
 * One thread. */
#ifndef WORKER_PROMPTS_USER_PROMPTS_H
#define WORKER_PROMPTS_USER_PROMPTS_H

#include "common/prompts.h"
#include "worker/prompts/prompt_tokenizer.h"

/* Append the prompt set. `source` is what errors call the text. Errors, naming source, line and
 * key: ST_BAD_INPUT (JSON, keys, lengths that differ, an answer of several tokens or among the
 * distractors, ids that the model has not, no prompt at all), ST_TOO_LARGE, ST_NO_MEMORY. *out then
 * has what was there before. */
MUST_CHECK status_t user_prompts_tokenize(const struct prompt_tokenizer *tokenizer,
                                          const char *source, const char *text, size_t n_bytes,
                                          struct buffer *out, struct error *err);

#endif
