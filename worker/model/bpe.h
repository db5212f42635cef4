/* Byte-pair encoding of one word: the merges of tokenizer.json's model of type "BPE".
 *
 * A word starts as one symbol a character (a byte, where the pre-tokenizer is ByteLevel). The
 * adjacent pair of lowest rank, leftmost first, is merged until no pair has a merge. Pairs wait
 * in a binary heap, so a word of n symbols costs O(n log n) whatever it holds.
 *
 * ByteLevel spells each byte as a printable character in the vocabulary ("Ġthe"). That spelling
 * exists only in the tables here: words stay raw bytes. The model is read-only after load;
 * scratch and cursor belong to one thread. */
#ifndef WORKER_MODEL_BPE_H
#define WORKER_MODEL_BPE_H

#include "common/error.h"
#include "worker/model/token_list.h"
#include "worker/model/vocabulary.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BPE_MAX_MERGES = 1 << 23 };

struct bpe_merge {
    uint64_t pair; /* left id << 32 | right id; UINT64_MAX where the slot is free */
    uint32_t rank;
    uint32_t merged_id;
};

struct bpe {
    struct vocabulary vocabulary;
    struct bpe_merge *merges; /* [merge_mask + 1], open addressing by pair */
    size_t merge_mask;
    size_t n_merges;
    uint32_t byte_ids[256];     /* token of the character that spells this byte */
    uint32_t fallback_ids[256]; /* token "<0xHH>" */
    uint32_t unknown_id;        /* unk_token, TOKEN_NONE without one */
    bool fuse_unknown, byte_fallback, ignore_merges;
    bool is_byte_level; /* words are raw bytes: set by the owner from the pre-tokenizer */
};

struct bpe_symbol {
    uint32_t id; /* TOKEN_NONE: merged into the one before */
    uint32_t previous, next;
};

struct bpe_scratch {
    struct bpe_symbol *symbols; /* [n_symbols] */
    size_t n_symbols, symbol_capacity;
    uint64_t *heap; /* [n_heap] rank << 32 | position of the left symbol */
    size_t n_heap, heap_capacity;
};

/* Read the "model" object. On failure nothing is left to release.
 * Errors: ST_UNSUPPORTED (names the type or option), ST_CORRUPT, ST_TOO_LARGE, ST_NO_MEMORY. */
MUST_CHECK status_t bpe_load(struct bpe *out, json_t *model, struct error *err);
void bpe_fini(struct bpe *bpe);
void bpe_scratch_fini(struct bpe_scratch *scratch);

/* Append the tokens of one word (well-formed UTF-8; n_bytes > 0).
 * Errors: ST_NO_MEMORY, ST_TOO_LARGE (a word of 2^31 symbols). */
MUST_CHECK status_t bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, const char *word,
                               size_t n_bytes, struct token_list *out, struct error *err);

/* True if a word may be cut in front of every `mark` that follows something else without
 * changing a token: no merge crosses such a place. Then whole documents need not be one word. */
bool bpe_may_cut_before(const struct bpe *bpe, const char *mark);

#endif
