/* Samples of the windows in which a slot does not fire. */
#include "common/evidence_key.h"
#include "worker/tasks/capture_accumulator_parts.h"

#include <stdlib.h>
#include <string.h>

static int compare_u32(const void *left, const void *right)
{
    uint32_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

/* A key below which a good k of n uniform keys lie: a guess that saves looking at the rest. */
static uint64_t guess_limit(uint32_t k, uint32_t n)
{
    const uint64_t wanted = k + k / 4 + 8; /* too few hits once in some hundred slots */
    return wanted >= n ? UINT64_MAX : UINT64_MAX / n * wanted;
}

static void scan_silent(struct capture_accumulator *accumulator, uint32_t slot, uint64_t limit)
{
    struct capture_hits *hits = &accumulator->hits;
    const size_t n_blocks = (accumulator->windows.n + WINDOW_KEY_BLOCK - 1u) / WINDOW_KEY_BLOCK;
    const struct window_keys_params params = {.number = accumulator->windows.number,
                                              .n_blocks = n_blocks,
                                              .slot_number = evidence_slot_number(slot),
                                              .limit = limit,
                                              .key = accumulator->key,
                                              .below = accumulator->below};
    size_t n = 0;
    accumulator->kernels->window_keys(&params);
    for (size_t block = 0; block < n_blocks; block++) {
        for (uint64_t bits = accumulator->below[block]; bits; bits &= bits - 1) {
            const size_t i = block * WINDOW_KEY_BLOCK + (size_t)__builtin_ctzll(bits);
            hits->key[n] = accumulator->key[i];
            hits->place[n] = (uint32_t)i;
            n += !accumulator->is_out[i];
        }
    }
    hits->n = n;
}

void capture_slot_silent(struct capture_accumulator *accumulator, uint32_t slot,
                         const struct evidence_cuts *cuts)
{
    struct evidence_record *record = accumulator->record;
    const uint32_t k = accumulator->identity.limits.silent_k;
    const uint32_t n_firing = (uint32_t)accumulator->n_candidates;
    const uint64_t guess = guess_limit(k, accumulator->windows.table.n_windows - n_firing);
    const bool is_guessed = guess < cuts->silent;
    scan_silent(accumulator, slot, is_guessed ? guess : cuts->silent);
    if (accumulator->hits.n < k && is_guessed) scan_silent(accumulator, slot, cuts->silent);
    record->n_silent = (uint32_t)capture_hits_smallest(&accumulator->hits, k, record->silent);
    for (uint32_t i = 0; i < record->n_silent; i++)
        record->silent[i] = accumulator->windows.item[record->silent[i]].table_place;
}

/* Put a window without firing among the hits, if it is not there yet. */
static void note_hit(struct capture_accumulator *accumulator, uint32_t window, uint64_t key,
                     uint64_t limit)
{
    struct capture_hits *hits = &accumulator->hits;
    accumulator->is_marked[window] = true;
    if (key > limit) return;
    hits->key[hits->n] = key;
    hits->place[hits->n++] = accumulator->windows.item[window].table_place;
}

static bool is_free(const struct capture_accumulator *accumulator, uint32_t window)
{
    return !accumulator->is_out[window] && !accumulator->is_marked[window];
}

void capture_slot_near_misses(struct capture_accumulator *accumulator, uint32_t slot,
                              const struct evidence_cuts *cuts)
{
    const struct capture_token *found[EVIDENCE_HARD_TOKENS] = {NULL};
    const uint32_t *hard = accumulator->frozen->hard_tokens[slot];
    const uint32_t *windows = accumulator->tokens.window;
    struct evidence_record *record = accumulator->record;
    accumulator->hits.n = 0;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        if (hard[i] == EVIDENCE_NO_TOKEN) continue;
        found[i] = capture_token_index_find(&accumulator->tokens, hard[i]);
        if (!found[i]) continue;
        record->n_hard_tokens[i] = found[i]->n_occurrences;
        for (uint32_t j = found[i]->first; j < found[i]->first + found[i]->n_windows; j++)
            if (is_free(accumulator, windows[j]))
                note_hit(accumulator, windows[j], evidence_near_key(accumulator->key[windows[j]]),
                         cuts->near_miss);
    }
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++)
        for (uint32_t j = 0; found[i] && j < found[i]->n_windows; j++)
            accumulator->is_marked[windows[found[i]->first + j]] = false;
    record->n_near_miss = (uint32_t)capture_hits_smallest(
        &accumulator->hits, accumulator->identity.limits.near_miss_k, record->near_miss);
    if (record->n_near_miss > 1)
        qsort(record->near_miss, record->n_near_miss, sizeof *record->near_miss, compare_u32);
}

/* Windows without firing in which the neighbour fires strongly, each once. */
static void scan_neighbour(struct capture_accumulator *accumulator, uint64_t limit,
                           uint32_t neighbour)
{
    const float strong = accumulator->frozen->strong_value[neighbour];
    const uint32_t end = accumulator->slot_end[neighbour];
    for (uint32_t i = accumulator->slot_start[neighbour]; i < end; i++) {
        const uint32_t window = capture_place_window(accumulator->grouped[i].place);
        if (accumulator->grouped[i].value > strong && is_free(accumulator, window))
            note_hit(accumulator, window, evidence_neighbour_key(accumulator->key[window]), limit);
    }
}

void capture_slot_neighbours(struct capture_accumulator *accumulator, uint32_t slot,
                             const struct evidence_cuts *cuts)
{
    const uint32_t *neighbours = accumulator->frozen->neighbours[slot];
    const uint32_t k = accumulator->identity.limits.neighbour_k;
    struct evidence_record *record = accumulator->record;
    if (k == 0) return;
    accumulator->hits.n = 0;
    for (size_t i = 0; i < EVIDENCE_NEIGHBOURS && neighbours[i] != EVIDENCE_NO_SLOT; i++)
        scan_neighbour(accumulator, cuts->neighbour, neighbours[i]);
    for (size_t i = 0; i < EVIDENCE_NEIGHBOURS && neighbours[i] != EVIDENCE_NO_SLOT; i++)
        for (uint32_t j = accumulator->slot_start[neighbours[i]];
             j < accumulator->slot_end[neighbours[i]]; j++)
            accumulator->is_marked[capture_place_window(accumulator->grouped[j].place)] = false;
    record->n_neighbour = (uint32_t)capture_hits_smallest(&accumulator->hits, k, record->neighbour);
    if (record->n_neighbour > 1)
        qsort(record->neighbour, record->n_neighbour, sizeof *record->neighbour, compare_u32);
}
