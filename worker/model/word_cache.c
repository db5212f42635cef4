#include "worker/model/word_cache.h"

#include "worker/model/vocabulary.h"

#include <stdlib.h>

_Static_assert(sizeof(struct word_cache_slot) == 64, "a slot is one cache line");

status_t word_cache_init(struct word_cache *cache, struct error *err)
{
    cache->slots = calloc(WORD_CACHE_SLOTS, sizeof *cache->slots);
    return cache->slots ? ST_OK : error_set(err, ST_NO_MEMORY, "word cache");
}

void word_cache_fini(struct word_cache *cache)
{
    free(cache->slots);
    cache->slots = NULL;
}

struct word_cache_slot *word_cache_slot(const struct word_cache *cache, const char *word,
                                        size_t n_bytes)
{
    return &cache->slots[vocabulary_hash(word, n_bytes) % WORD_CACHE_SLOTS];
}
