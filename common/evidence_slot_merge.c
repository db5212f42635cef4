#include "common/evidence_key.h"
#include "common/evidence_slot.h"

#include <stdlib.h>
#include <string.h>

static status_t merge_counts(struct evidence_slot *slot, const struct evidence_record *record,
                             struct error *err)
{
    status_t status = evidence_counts_add(&slot->values, record->values.bin, record->values.count,
                                          record->values.n, err);
    if (status == ST_OK)
        status = evidence_counts_add(&slot->windows, record->windows.bin, record->windows.count,
                                     record->windows.n, err);
    if (status == ST_OK)
        status = evidence_counts_add(&slot->positions, record->positions.bin,
                                     record->positions.count, record->positions.n, err);
    slot->n_firing_tokens += record->n_firing_tokens;
    slot->sum_fixed = evidence_sum_add(slot->sum_fixed, record->sum_fixed);
    if (record->max_value > slot->max_value) slot->max_value = record->max_value;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        slot->n_firing_on_hard[i] += record->n_firing_on_hard[i];
        slot->n_hard_tokens[i] += record->n_hard_tokens[i];
    }
    return status;
}

/* Room for one item more in a list of at most k: capacities are 4, 8, 16 ... and k. */
static status_t grow(void **items, size_t n, uint32_t k, size_t item_bytes, struct error *err)
{
    if (n == k || (n > 0 && n < 4) || (n & (n - 1)) != 0) return ST_OK;
    size_t capacity = n == 0 ? 4 : 2 * n;
    if (capacity > k) capacity = k;
    void *grown = realloc(*items, capacity * item_bytes);
    if (!grown) return error_set(err, ST_NO_MEMORY, "evidence list of %zu", capacity);
    *items = grown;
    return ST_OK;
}

static uint64_t document_number(const struct evidence_merge *merge, uint32_t document_index)
{
    return evidence_document_number(merge->documents->key[document_index]);
}

/* Insert by (number, document), whose place is sought from the end. */
static status_t insert_document(struct evidence_slot *slot, uint64_t number,
                                uint32_t document_index, const struct evidence_merge *merge,
                                struct error *err)
{
    const uint32_t k = merge->limits->doc_k;
    const size_t n = slot->n_documents;
    size_t place = n;
    for (; place > 0; place--) {
        const uint32_t other = slot->document[place - 1];
        const uint64_t other_number = document_number(merge, other);
        if (other == document_index) return ST_OK;
        if (other_number < number || (other_number == number && other < document_index)) break;
    }
    if (place == k) return ST_OK;
    void *items = slot->document;
    const status_t status = grow(&items, n, k, sizeof *slot->document, err);
    slot->document = items;
    if (status != ST_OK) return status;
    const size_t n_moved = (n < k ? n : k - 1) - place;
    memmove(slot->document + place + 1, slot->document + place, n_moved * sizeof(uint32_t));
    slot->document[place] = document_index;
    if (n < k) slot->n_documents++;
    if (slot->n_documents == k)
        slot->document_limit = document_number(merge, slot->document[k - 1]);
    return ST_OK;
}

static status_t merge_documents(struct evidence_slot *slot, const struct evidence_record *record,
                                const struct evidence_merge *merge, struct error *err)
{
    status_t status = ST_OK;
    for (uint32_t i = 0; i < record->n_documents && status == ST_OK; i++) {
        const uint64_t number = merge->document_number[record->document[i]];
        if (number <= slot->document_limit)
            status = insert_document(slot, number, merge->table->document[record->document[i]],
                                     merge, err);
    }
    return status;
}

static status_t grow_sample(struct evidence_sample *sample, uint32_t k, struct error *err)
{
    void *key = sample->key, *window = sample->window;
    status_t status = grow(&key, sample->n, k, sizeof *sample->key, err);
    sample->key = key;
    if (status != ST_OK) return status;
    status = grow(&window, sample->n, k, sizeof *sample->window, err);
    sample->window = window;
    return status;
}

/* Where (key, document) belongs; false if it is there already. */
static bool find_place(const struct evidence_sample *sample, uint64_t key, uint32_t document_index,
                       size_t *place)
{
    size_t low = 0, high = sample->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sample->key[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < sample->n && sample->key[low] == key; low++) {
        if (sample->window[low].document_index == document_index) return false;
        if (sample->window[low].document_index > document_index) break;
    }
    *place = low;
    return true;
}

static status_t insert_window(struct evidence_sample *sample, uint32_t k, uint64_t key,
                              const struct evidence_window *window, struct error *err)
{
    const size_t n = sample->n;
    size_t place;
    if (!find_place(sample, key, window->document_index, &place) || place == k) return ST_OK;
    const status_t status = grow_sample(sample, k, err);
    if (status != ST_OK) return status;
    const size_t n_moved = (n < k ? n : k - 1) - place;
    memmove(sample->key + place + 1, sample->key + place, n_moved * sizeof *sample->key);
    memmove(sample->window + place + 1, sample->window + place, n_moved * sizeof *sample->window);
    sample->key[place] = key;
    sample->window[place] = *window;
    if (n < k) sample->n++;
    if (sample->n == k) sample->limit = sample->key[k - 1];
    return ST_OK;
}

/* Window `index` of the message into a sample, unless it is past the last that stays. */
static status_t merge_sampled(struct evidence_sample *sample, uint32_t k, uint64_t key,
                              uint32_t index, const struct evidence_merge *merge, struct error *err)
{
    if (key > sample->limit) return ST_OK;
    return insert_window(sample, k, key, &merge->table->window[index], err);
}

static status_t merge_silent(struct evidence_slot *slot, const struct evidence_record *record,
                             uint64_t slot_number, const struct evidence_merge *merge,
                             struct error *err)
{
    const struct evidence_limits *limits = merge->limits;
    const uint64_t *number = merge->window_number;
    status_t status = ST_OK;
    for (uint32_t i = 0; i < record->n_silent && status == ST_OK; i++) {
        const uint32_t window = record->silent[i];
        const uint64_t key = evidence_key(number[window], slot_number);
        status = merge_sampled(&slot->silent, limits->silent_k, key, window, merge, err);
    }
    for (uint32_t i = 0; i < record->n_near_miss && status == ST_OK; i++) {
        const uint32_t window = record->near_miss[i];
        const uint64_t key = evidence_near_key(evidence_key(number[window], slot_number));
        status = merge_sampled(&slot->near_miss, limits->near_miss_k, key, window, merge, err);
    }
    for (uint32_t i = 0; i < record->n_neighbour && status == ST_OK; i++) {
        const uint32_t window = record->neighbour[i];
        const uint64_t key = evidence_neighbour_key(evidence_key(number[window], slot_number));
        status = merge_sampled(&slot->neighbour, limits->neighbour_k, key, window, merge, err);
    }
    return status;
}

/* Room for one firing window more, with little to spare: there are many slots. */
static status_t reserve_firing(struct evidence_slot *slot, struct error *err)
{
    if (slot->n_firing < slot->firing_capacity) return ST_OK;
    const size_t capacity = (size_t)slot->n_firing + slot->n_firing / 8 + 4;
    struct evidence_firing *grown = realloc(slot->firing, capacity * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "%zu firing windows", capacity);
    slot->firing = grown;
    slot->firing_capacity = (uint16_t)capacity;
    return ST_OK;
}

/* Room for n activations more in the pool: a new one without what dropped windows left. */
static status_t reserve_pool(struct evidence_slot *slot, uint32_t n, struct error *err)
{
    if (n <= slot->pool_capacity - slot->n_pool) return ST_OK;
    uint32_t n_live = 0, at = 0;
    for (size_t i = 0; i < slot->n_firing; i++) n_live += slot->firing[i].n_activations;
    const uint32_t capacity = n_live + n + n_live / 6 + 8;
    float *value = malloc(capacity * (sizeof *value + sizeof *slot->position));
    if (!value) return error_set(err, ST_NO_MEMORY, "pool of %u activations", capacity);
    uint16_t *position = (uint16_t *)(void *)(value + capacity);
    for (size_t i = 0; i < slot->n_firing; i++) {
        struct evidence_firing *firing = &slot->firing[i];
        memcpy(value + at, slot->value + firing->first, firing->n_activations * sizeof *value);
        memcpy(position + at, slot->position + firing->first,
               firing->n_activations * sizeof *position);
        firing->first = at;
        at += firing->n_activations;
    }
    free(slot->value);
    slot->value = value;
    slot->position = position;
    slot->n_pool = n_live;
    slot->pool_capacity = capacity;
    return ST_OK;
}

static status_t merge_window(struct evidence_slot *slot, const struct evidence_record *record,
                             const struct evidence_firing_ref *ref,
                             const struct evidence_merge *merge, struct error *err)
{
    const uint64_t slot_number = evidence_slot_number(record->slot);
    const struct evidence_window *window = &merge->table->window[ref->window];
    status_t status = reserve_firing(slot, err);
    if (status == ST_OK) status = reserve_pool(slot, ref->n_activations, err);
    if (status != ST_OK) return status;
    const struct evidence_firing firing = {
        .key = evidence_key(merge->window_number[ref->window], slot_number),
        .max_value = ref->max_value,
        .document_index = window->document_index,
        .document_offset = window->document_offset,
        .first = slot->n_pool,
        .n_tokens = window->n_tokens,
        .n_activations = ref->n_activations,
    };
    size_t n = slot->n_firing;
    if (!evidence_insert_firing(slot->firing, &n, merge->limits, &firing)) return ST_OK;
    slot->n_firing = (uint16_t)n;
    memcpy(slot->value + slot->n_pool, record->value + ref->first,
           ref->n_activations * sizeof *slot->value);
    memcpy(slot->position + slot->n_pool, record->position + ref->first,
           ref->n_activations * sizeof *slot->position);
    slot->n_pool += ref->n_activations;
    return ST_OK;
}

status_t evidence_slot_merge(struct evidence_slot *slot, const struct evidence_record *record,
                             const struct evidence_merge *merge, struct error *err)
{
    const uint64_t slot_number = evidence_slot_number(record->slot);
    status_t status = merge_counts(slot, record, err);
    if (status == ST_OK && record->n_documents > 0)
        status = merge_documents(slot, record, merge, err);
    for (uint32_t i = 0; i < record->n_firing && status == ST_OK; i++)
        status = merge_window(slot, record, &record->firing[i], merge, err);
    if (status == ST_OK) status = merge_silent(slot, record, slot_number, merge, err);
    return status;
}
