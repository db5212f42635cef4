/* What a tokenizer is made of: shared by the files that open, encode and decode, private to
 * them. Use worker/model/tokenizer.h. */
#ifndef WORKER_MODEL_TOKENIZER_PARTS_H
#define WORKER_MODEL_TOKENIZER_PARTS_H

#include "worker/model/added_tokens.h"
#include "worker/model/bpe.h"
#include "worker/model/normalizer.h"
#include "worker/model/pretokenizer.h"
#include "worker/model/token_decoder.h"
#include "worker/model/token_template.h"
#include "worker/model/tokenizer.h"
#include "worker/model/word_cache.h"

#include <pthread.h>

/* One thread's working memory while it encodes or decodes. */
struct tokenizer_context {
    struct tokenizer_context *next; /* in the pool */
    struct regex_cursor *cursor;
    struct buffer repaired, normalized, spare;
    struct segment_list raw_segments, normalized_segments;
    struct pretokenizer_scratch words;
    struct bpe_scratch merging;
    struct word_cache cache;
    struct string_list strings, spare_strings; /* for decoding */
};

struct tokenizer {
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    struct bpe bpe;
    struct added_tokens added;
    struct token_template around;
    struct token_decoder decoder;
    uint32_t bos_id, eos_id;    /* TOKEN_NONE without one */
    pthread_mutex_t *pool_lock; /* guards *pool; held for a push or a pop only */
    struct tokenizer_context **pool;
};

/* Take a context out of the pool or make one; give it back when the call is done. A context
 * that has served a very large text is freed instead of kept. */
MUST_CHECK status_t tokenizer_context_take(const struct tokenizer *tokenizer,
                                           struct tokenizer_context **out, struct error *err);
void tokenizer_context_give(const struct tokenizer *tokenizer, struct tokenizer_context *context);
void tokenizer_context_destroy(struct tokenizer_context *context);

/* The token string of an id, added tokens first; false if the id is no token. */
bool tokenizer_spelling(const struct tokenizer *tokenizer, uint32_t id, const char **bytes,
                        size_t *n_bytes);

/* Find BOS and EOS, `directory` may be NULL. Errors: ST_CORRUPT, ST_IO, ST_TOO_LARGE. */
MUST_CHECK status_t tokenizer_find_ends(struct tokenizer *tokenizer, const char *directory,
                                        struct error *err);

#endif
