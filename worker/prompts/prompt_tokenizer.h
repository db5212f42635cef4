/* The tokenizer of a model as makers of prompts need it: texts behind BOS, where in the text each
 * token ends, and what is one token when it continues a text.
 *
 * A token is looked up as a continuation ("so Mary" begins with the tokens of "so" and has one
 * more), never by its spelling: that is right for tokenizers that put a space in front of a text
 * too. Read-only once made; any thread. */
#ifndef WORKER_PROMPTS_PROMPT_TOKENIZER_H
#define WORKER_PROMPTS_PROMPT_TOKENIZER_H

#include "worker/model/bos_choice.h"
#include "worker/model/token_list.h"
#include "worker/model/tokenizer.h"

#include <stdatomic.h>

struct prompt_tokenizer {
    const struct tokenizer *tokenizer; /* borrowed */
    size_t n_vocab, n_positions;       /* of the model */
    struct bos_choice bos;
    _Atomic uint64_t *ticks; /* moved with every text: proof that the thread works; NULL: none */
};

/* A text in tokens. */
struct token_text {
    struct token_list tokens; /* BOS first where prompts have it */
    size_t *ends;             /* [tokens.n_ids], owned: the byte of the text behind each token */
    bool has_ends;            /* false where the tokenizer changes the text, say by Unicode NFC */
};
void token_text_fini(struct token_text *text); /* fine on a zeroed one; leaves it zeroed */

/* Errors: ST_BAD_INPUT (no token at all, more than the model's positions, an id that the model has
 * not), ST_TOO_LARGE, ST_NO_MEMORY; *out is then as before, else it was zeroed and is the caller's.
 */
MUST_CHECK status_t prompt_tokenizer_encode(const struct prompt_tokenizer *self, const char *text,
                                            size_t n_bytes, struct token_text *out,
                                            struct error *err);

/* The tokens that `more` adds behind `text`: out is replaced by them. *extends is false (and *out
 * empty) where the text's own tokens become others. Errors: ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_tokenizer_continue(const struct prompt_tokenizer *self, const char *text,
                                              const char *more, struct token_list *out,
                                              bool *extends, struct error *err);

/* Is `word`, behind a space, one token of tokenizer and model? Errors: as above. */
MUST_CHECK status_t prompt_tokenizer_word(const struct prompt_tokenizer *self, const char *word,
                                          uint32_t *id, bool *is_token, struct error *err);

/* Append the text of ids [n_ids]; those without a text of their own add nothing. Errors:
 * ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t prompt_tokenizer_text(const struct prompt_tokenizer *self, const uint32_t *ids,
                                          size_t n_ids, struct buffer *out, struct error *err);

/* Errors: ST_BAD_INPUT, naming the id. */
MUST_CHECK status_t prompt_tokenizer_check_id(const struct prompt_tokenizer *self, uint32_t id,
                                              struct error *err);

#endif
