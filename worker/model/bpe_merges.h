/* Which pairs of tokens merge, in which order, into what. */
#ifndef WORKER_MODEL_BPE_MERGES_H
#define WORKER_MODEL_BPE_MERGES_H

#include "common/hash.h"
#include "worker/model/bpe.h"

/* Read the model's "merges" ("a b" or ["a", "b"]) into bpe->merges; the vocabulary is loaded.
 * Errors: ST_CORRUPT (form, a token that is not in the vocabulary), ST_TOO_LARGE, ST_NO_MEMORY;
 * bpe_fini() releases what was begun. */
MUST_CHECK status_t bpe_merges_load(struct bpe *bpe, const json_t *model, struct error *err);

/* The merge of that pair of ids, NULL if there is none. */
static inline const struct bpe_merge *bpe_merges_find(const struct bpe *bpe, uint32_t left,
                                                      uint32_t right)
{
    const uint64_t pair = (uint64_t)left << 32 | right;
    for (size_t slot = hash_mix64(pair) & bpe->merge_mask;; slot = (slot + 1) & bpe->merge_mask) {
        const struct bpe_merge *merge = &bpe->merges[slot];
        if (merge->pair == pair) return merge;
        if (merge->pair == UINT64_MAX) return NULL;
    }
}

#endif
