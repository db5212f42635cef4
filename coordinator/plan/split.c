#include "coordinator/plan/split.h"

#include "common/hash.h"

#include <stdbool.h>
#include <stdlib.h>

enum evidence_split split_of_key(uint64_t key, const struct sweep_splits *splits, uint64_t seed)
{
    const uint64_t mixed = hash_mix64(key ^ hash_mix64(seed ^ UINT64_C(0x73706c6974000000)));
    const uint32_t percent = (uint32_t)((mixed >> 32) * 100 >> 32); /* [0, 100) */
    if (percent < splits->explain) return EVIDENCE_EXPLAIN;
    if (percent < splits->explain + splits->validate) return EVIDENCE_VALIDATE;
    return EVIDENCE_TEST;
}

struct content {
    uint64_t key;
    uint32_t document_index;
    uint32_t corpus_index;
};

/* Equal contents together, in document order. */
static int compare_contents(const void *a, const void *b)
{
    const struct content *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->document_index < y->document_index ? -1 : x->document_index > y->document_index;
}

/* contents[0..n) are equal, so the documents of the main corpus come first. */
static void assign_group(const struct content *contents, size_t n,
                         const struct sweep_splits *splits, uint64_t seed, uint8_t *side,
                         struct split_counts *counts)
{
    size_t n_main = 0;
    while (n_main < n && contents[n_main].corpus_index == 0) n_main++;
    if (n_main > 1) {
        const enum evidence_split split = split_of_key(contents[0].key, splits, seed);
        for (size_t i = 0; i < n_main; i++) side[contents[i].document_index] = (uint8_t)split;
        counts->n_duplicates += n_main - 1;
    }
    for (size_t i = n_main; i < n; i++) {
        if (contents[i].corpus_index == contents[0].corpus_index) continue;
        side[contents[i].document_index] = SPLIT_DROPPED;
        counts->n_ood_duplicates++;
    }
}

status_t split_assign(const struct token_corpus *corpus, const struct sweep_splits *splits,
                      uint64_t seed, uint8_t *side, struct split_counts *counts, struct error *err)
{
    const size_t n = token_corpus_n_documents(corpus);
    struct content *contents = malloc((n ? n : 1) * sizeof *contents);
    struct split_counts found = {0};
    if (!contents) return error_set(err, ST_NO_MEMORY, "sides of %zu documents", n);
    for (size_t i = 0; i < n; i++) {
        const struct token_document document = token_corpus_document(corpus, i);
        contents[i] = (struct content){document.content_key, (uint32_t)i, document.corpus_index};
        side[i] = document.corpus_index ? (uint8_t)(EVIDENCE_OOD + document.corpus_index - 1)
                                        : (uint8_t)split_of_key(document.key, splits, seed);
    }
    qsort(contents, n, sizeof *contents, compare_contents);
    for (size_t low = 0, high; low < n; low = high) {
        for (high = low + 1; high < n && contents[high].key == contents[low].key;) high++;
        assign_group(contents + low, high - low, splits, seed, side, &found);
    }
    if (counts) *counts = found;
    free(contents);
    return ST_OK;
}
