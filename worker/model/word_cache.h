/* Words whose tokens are known, so that frequent ones skip the merges. One thread.
 *
 * A fixed table, one place per hash, a newer word replaces an older one: lookups are one cache
 * line, memory is bounded, and nothing a text holds can make it slow. Long words and words of
 * many tokens are not kept. */
#ifndef WORKER_MODEL_WORD_CACHE_H
#define WORKER_MODEL_WORD_CACHE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    WORD_CACHE_MAX_WORD_BYTES = 34,
    WORD_CACHE_MAX_IDS = 7,
    WORD_CACHE_SLOTS = 1 << 16 /* of 64 bytes; touched as they fill */
};

struct word_cache_slot {
    uint32_t ids[WORD_CACHE_MAX_IDS];
    uint8_t n_ids;
    uint8_t n_bytes; /* 0: free */
    char word[WORD_CACHE_MAX_WORD_BYTES];
};

struct word_cache {
    struct word_cache_slot *slots; /* [WORD_CACHE_SLOTS], owned */
};

/* Errors: ST_NO_MEMORY. The owner calls word_cache_fini(). */
MUST_CHECK status_t word_cache_init(struct word_cache *cache, struct error *err);
void word_cache_fini(struct word_cache *cache);

/* The slot where that word (1 to WORD_CACHE_MAX_WORD_BYTES bytes) would be kept. */
struct word_cache_slot *word_cache_slot(const struct word_cache *cache, const char *word,
                                        size_t n_bytes);

#endif
