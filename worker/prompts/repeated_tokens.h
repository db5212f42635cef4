/* Random words and the same again: [BOS] r1 .. rk r1 .. rk. What heads are scored on: an induction
 * head attends from every word of the second copy to the word behind it in the first. Sequence i
 * depends on seed and i alone. Read-only once made; any thread. */
#ifndef WORKER_PROMPTS_REPEATED_TOKENS_H
#define WORKER_PROMPTS_REPEATED_TOKENS_H

#include "worker/prompts/prompt_tokenizer.h"

struct repeated_tokens {
    struct bos_choice bos;
    struct token_list words; /* ordinary_words.h */
    size_t n_tokens;         /* of a sequence */
    uint64_t seed;
};

/* n_tokens: of a sequence, BOS included. Errors: ST_BAD_INPUT (n_tokens without BOS is odd or under
 * 4, over the model's positions, or needs more different words than this tokenizer has: names the
 * number), ST_TOO_LARGE, ST_NO_MEMORY. On ST_OK the caller owns *out. */
MUST_CHECK status_t repeated_tokens_open(struct repeated_tokens *out,
                                         const struct prompt_tokenizer *tokenizer, size_t n_tokens,
                                         uint64_t seed, struct error *err);
void repeated_tokens_close(struct repeated_tokens *repeated); /* fine on a zeroed one */

/* out [n_tokens]. Errors: ST_NO_MEMORY. */
MUST_CHECK status_t repeated_tokens_draw(const struct repeated_tokens *repeated, uint64_t index,
                                         uint32_t *out, struct error *err);

#endif
