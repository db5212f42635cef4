/* The vocabulary of known models: token 0 is "<bos>", every other token is a made-up word of two
 * syllables with a space before it, so a prompt is also a text. Pure; any thread. */
#ifndef WORKER_KNOWN_WORD_VOCABULARY_H
#define WORKER_KNOWN_WORD_VOCABULARY_H

#include "common/buffer.h"

#include <jansson.h>
#include <stdint.h>

enum { WORD_VOCABULARY_MAX = 128, WORD_SIZE = 8 };

/* The word of token 1 .. WORD_VOCABULARY_MAX - 1, without its space; no two are alike. */
const char *word_of_token(uint32_t token, char out[WORD_SIZE]);

/* Append the text of tokens [n_tokens]; a leading BOS is left out (the tokenizer puts it there).
 * Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t word_text(struct buffer *out, const uint32_t *tokens, size_t n_tokens,
                              struct error *err);

/* tokenizer.json: a byte-level BPE that looks words up whole (no merges), BOS in front. A new
 * reference, or NULL without memory. */
json_t *word_tokenizer(size_t n_vocab);

/* tokenizer_config.json beside it, for readers that want a class and the names of the ends. */
json_t *word_tokenizer_config(void);

#endif
