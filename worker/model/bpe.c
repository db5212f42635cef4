#include "worker/model/bpe.h"

#include "worker/model/bpe_merges.h"
#include "worker/model/byte_level.h"
#include "worker/model/utf8.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64, MAX_SYMBOLS = INT32_MAX };

void bpe_scratch_fini(struct bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (struct bpe_scratch){0};
}

/* ---- symbols ---------------------------------------------------------------------------- */

/* Room for one symbol a byte: the most a word can have. */
static status_t reserve_symbols(struct bpe_scratch *scratch, size_t n_bytes, struct error *err)
{
    if (n_bytes > MAX_SYMBOLS)
        return error_set(err, ST_TOO_LARGE, "a word of %zu bytes, at most %d", n_bytes,
                         MAX_SYMBOLS);
    scratch->n_symbols = 0;
    if (n_bytes <= scratch->symbol_capacity) return ST_OK;
    size_t capacity = FIRST_CAPACITY;
    while (capacity < n_bytes) capacity *= 2;
    struct bpe_symbol *grown = realloc(scratch->symbols, capacity * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "a word of %zu bytes", n_bytes);
    scratch->symbols = grown;
    scratch->symbol_capacity = capacity;
    return ST_OK;
}

static void add_symbol(struct bpe_scratch *scratch, uint32_t id)
{
    const uint32_t at = (uint32_t)scratch->n_symbols++;
    scratch->symbols[at] = (struct bpe_symbol){id, at - 1, at + 1};
}

static void start_from_bytes(const struct bpe *bpe, struct bpe_scratch *scratch, const char *word,
                             size_t n_bytes)
{
    bool was_unknown = false;
    for (size_t i = 0; i < n_bytes; i++) {
        const uint32_t id = bpe->byte_ids[(unsigned char)word[i]];
        const bool is_unknown = id == TOKEN_NONE;
        if (!is_unknown)
            add_symbol(scratch, id);
        else if (bpe->unknown_id != TOKEN_NONE && !(was_unknown && bpe->fuse_unknown))
            add_symbol(scratch, bpe->unknown_id);
        was_unknown = is_unknown;
    }
}

static bool has_fallback(const struct bpe *bpe, const char *character, size_t n_bytes)
{
    if (!bpe->byte_fallback) return false;
    for (size_t i = 0; i < n_bytes; i++)
        if (bpe->fallback_ids[(unsigned char)character[i]] == TOKEN_NONE) return false;
    return true;
}

/* An unknown character waits, so that a run of them may fuse. The reference writes it when the
 * next known character comes, and byte tokens in between do not count as one. */
static void start_from_characters(const struct bpe *bpe, struct bpe_scratch *scratch,
                                  const char *word, size_t n_bytes)
{
    bool unknown_waits = false;
    for (size_t at = 0, n_used; at < n_bytes; at += n_used) {
        (void)utf8_read(word + at, &n_used);
        const uint32_t id = vocabulary_find(&bpe->vocabulary, word + at, n_used);
        if (id != TOKEN_NONE) {
            if (unknown_waits) add_symbol(scratch, bpe->unknown_id);
            unknown_waits = false;
            add_symbol(scratch, id);
        } else if (has_fallback(bpe, word + at, n_used)) {
            for (size_t i = 0; i < n_used; i++)
                add_symbol(scratch, bpe->fallback_ids[(unsigned char)word[at + i]]);
        } else if (bpe->unknown_id != TOKEN_NONE) {
            if (unknown_waits && !bpe->fuse_unknown) add_symbol(scratch, bpe->unknown_id);
            unknown_waits = true;
        }
    }
    if (unknown_waits) add_symbol(scratch, bpe->unknown_id);
}

/* ---- the heap of pairs that may merge ---------------------------------------------------- */

static void sift_down(uint64_t *heap, size_t n_heap, size_t at)
{
    const uint64_t key = heap[at];
    for (size_t child; (child = 2 * at + 1) < n_heap; at = child) {
        if (child + 1 < n_heap && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[at] = heap[child];
    }
    heap[at] = key;
}

static void push_key(struct bpe_scratch *scratch, uint64_t key)
{
    uint64_t *heap = scratch->heap;
    size_t at = scratch->n_heap++;
    for (size_t parent; at > 0 && heap[parent = (at - 1) / 2] > key; at = parent)
        heap[at] = heap[parent];
    heap[at] = key;
}

static uint64_t pop_key(struct bpe_scratch *scratch)
{
    const uint64_t top = scratch->heap[0];
    scratch->heap[0] = scratch->heap[--scratch->n_heap];
    if (scratch->n_heap > 1) sift_down(scratch->heap, scratch->n_heap, 0);
    return top;
}

/* Each merge takes one key out, pushes at most two and removes one symbol: n - 1 keys at the
 * start and n - 1 merges bound the heap by 2n. */
static status_t reserve_heap(struct bpe_scratch *scratch, struct error *err)
{
    const size_t needed = 2 * scratch->n_symbols + 2;
    scratch->n_heap = 0;
    if (needed <= scratch->heap_capacity) return ST_OK;
    size_t capacity = FIRST_CAPACITY;
    while (capacity < needed) capacity *= 2;
    uint64_t *grown = realloc(scratch->heap, capacity * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "a word of %zu symbols", scratch->n_symbols);
    scratch->heap = grown;
    scratch->heap_capacity = capacity;
    return ST_OK;
}

static void fill_heap(const struct bpe *bpe, struct bpe_scratch *scratch)
{
    for (uint32_t i = 0; i + 1 < scratch->n_symbols; i++) {
        const struct bpe_merge *merge =
            bpe_merges_find(bpe, scratch->symbols[i].id, scratch->symbols[i + 1].id);
        if (merge) scratch->heap[scratch->n_heap++] = (uint64_t)merge->rank << 32 | i;
    }
    for (size_t i = scratch->n_heap / 2; i-- > 0;) sift_down(scratch->heap, scratch->n_heap, i);
}

static void push_pair(const struct bpe *bpe, struct bpe_scratch *scratch, uint32_t left)
{
    const struct bpe_symbol *symbol = &scratch->symbols[left];
    const struct bpe_merge *merge =
        bpe_merges_find(bpe, symbol->id, scratch->symbols[symbol->next].id);
    if (merge) push_key(scratch, (uint64_t)merge->rank << 32 | left);
}

/* Merge the pair at `left` if it is still the pair that was pushed with that rank. */
static void merge_pair(const struct bpe *bpe, struct bpe_scratch *scratch, uint64_t key)
{
    const uint32_t left = (uint32_t)key;
    const uint32_t n_symbols = (uint32_t)scratch->n_symbols;
    struct bpe_symbol *symbol = &scratch->symbols[left];
    if (symbol->id == TOKEN_NONE || symbol->next >= n_symbols) return;
    struct bpe_symbol *right = &scratch->symbols[symbol->next];
    const struct bpe_merge *merge = bpe_merges_find(bpe, symbol->id, right->id);
    if (!merge || merge->rank != key >> 32) return;
    symbol->id = merge->merged_id;
    symbol->next = right->next;
    right->id = TOKEN_NONE;
    if (symbol->next < n_symbols) scratch->symbols[symbol->next].previous = left;
    if (symbol->previous < n_symbols) push_pair(bpe, scratch, symbol->previous);
    if (symbol->next < n_symbols) push_pair(bpe, scratch, left);
}

/* ---- one word --------------------------------------------------------------------------- */

/* The id of the whole word as the vocabulary spells it. */
static uint32_t find_whole(const struct bpe *bpe, const char *word, size_t n_bytes)
{
    char spelled[VOCABULARY_MAX_TOKEN_BYTES + UTF8_MAX_BYTES];
    size_t n_spelled = 0;
    if (!bpe->is_byte_level) return vocabulary_find(&bpe->vocabulary, word, n_bytes);
    for (size_t i = 0; i < n_bytes; i++) {
        if (n_spelled > VOCABULARY_MAX_TOKEN_BYTES) return TOKEN_NONE; /* longer than any */
        n_spelled += utf8_write(byte_level_character((unsigned char)word[i]), spelled + n_spelled);
    }
    return vocabulary_find(&bpe->vocabulary, spelled, n_spelled);
}

static status_t append_symbols(const struct bpe_scratch *scratch, struct token_list *out,
                               struct error *err)
{
    if (scratch->n_symbols == 0) return ST_OK;
    for (uint32_t at = 0; at < scratch->n_symbols; at = scratch->symbols[at].next) {
        const status_t status = token_list_append(out, &scratch->symbols[at].id, 1, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

status_t bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, const char *word,
                    size_t n_bytes, struct token_list *out, struct error *err)
{
    if (bpe->ignore_merges) {
        const uint32_t id = find_whole(bpe, word, n_bytes);
        if (id != TOKEN_NONE) return token_list_append(out, &id, 1, err);
    }
    status_t status = reserve_symbols(scratch, n_bytes + 1, err);
    if (status != ST_OK) return status;
    if (bpe->is_byte_level)
        start_from_bytes(bpe, scratch, word, n_bytes);
    else
        start_from_characters(bpe, scratch, word, n_bytes);
    status = reserve_heap(scratch, err);
    if (status != ST_OK) return status;
    fill_heap(bpe, scratch);
    while (scratch->n_heap) merge_pair(bpe, scratch, pop_key(scratch));
    return append_symbols(scratch, out, err);
}
