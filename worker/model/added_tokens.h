/* The "added_tokens" of tokenizer.json: strings that are found in the text as a whole, before
 * any merge, and become one token.
 *
 * Two sets are searched one after the other: tokens that are matched in the raw text, then, in
 * what lies between, those matched in the normalized text (their own strings normalized too).
 * In a set the leftmost match wins, then the longest. A single_word token counts only between
 * non-word characters; lstrip and rstrip tokens swallow the white space beside them. As in the
 * reference, an id of the second set decodes to its normalized string.
 * Read-only after load, any thread with its own cursor and segment list. */
#ifndef WORKER_MODEL_ADDED_TOKENS_H
#define WORKER_MODEL_ADDED_TOKENS_H

#include "common/error.h"
#include "worker/model/normalizer.h"
#include "worker/model/token_trie.h"
#include "worker/model/vocabulary.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct added_token {
    uint32_t id;
    bool is_special, is_normalized, is_single_word, strips_left, strips_right;
};

struct added_tokens {
    struct vocabulary vocabulary; /* their strings as the file has them */
    struct vocabulary spelled;    /* as they are matched and decoded: perhaps normalized */
    struct added_token *tokens;   /* [n_tokens], in the order of the file */
    size_t n_tokens;
    struct token_trie raw, normalized; /* values are indices into tokens */
    struct regex *word;                /* one word character; NULL unless a token needs it */
};

/* A stretch of text: a token's match (id), or what lies between matches (TOKEN_NONE). */
struct text_segment {
    uint32_t id;
    size_t begin, end;
};

struct segment_list {
    struct text_segment *segments; /* [n_segments], owned */
    size_t n_segments, capacity;
};
void segment_list_fini(struct segment_list *list);

/* Read the list (null and absent: none). `model` is the merges' vocabulary: a token that is in
 * both must have one id. Errors: ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY; nothing is left then. */
MUST_CHECK status_t added_tokens_load(struct added_tokens *out, json_t *list,
                                      const struct vocabulary *model,
                                      const struct normalizer *normalizer, struct error *err);
void added_tokens_fini(struct added_tokens *added);

/* Cut text [n_bytes] at the matches of `trie` (added->raw or added->normalized) into *out
 * (emptied first). Segments without a token are never empty.
 * Errors: ST_NO_MEMORY, those of regex_find(). */
MUST_CHECK status_t added_tokens_split(const struct added_tokens *added,
                                       const struct token_trie *trie, struct regex_cursor *cursor,
                                       const char *text, size_t n_bytes, struct segment_list *out,
                                       struct error *err);

#endif
