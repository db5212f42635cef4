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

/* Insert by (key, document). */
static status_t insert_window(struct evidence_sample *sample, uint32_t k, uint64_t key,
                              const struct evidence_window *window, struct error *err)
{
    const size_t n = sample->n;
    size_t place = n;
    for (; place > 0 && sample->key[place - 1] >= key; place--) {
        if (sample->key[place - 1] > key) continue;
        const uint32_t other = sample->window[place - 1].document_index;
        if (other == window->document_index) return ST_OK;
        if (other < window->document_index) break;
    }
    if (place == k) return ST_OK;
    const status_t status = grow_sample(sample, k, err);
    if (status != ST_OK) return status;
    const size_t n_moved = (n < k ? n : k - 1) - place;
    memmove(sample->key + place + 1, sample->key + place, n_moved * sizeof *sample->key);
    memmove(sample->window + place + 1, sample->window + place,
            n_moved * sizeof *sample->window);
    sample->key[place] = key;
    sample->window[place] = *window;
    if (n < k) sample->n++;
    if (sample->n == k) sample->limit = sample->key[k - 1];
    return ST_OK;
}

static status_t merge_silent(struct evidence_slot *slot, const struct evidence_record *record,
                             uint64_t slot_number, const struct evidence_merge *merge,
                             struct error *err)
{
    status_t status = ST_OK;
    for (uint32_t i = 0; i < record->n_silent && status == ST_OK; i++) {
        const uint32_t window = record->silent[i];
        const uint64_t key = evidence_key(merge->window_number[window], slot_number);
        if (key <= slot->silent.limit)
            status = insert_window(&slot->silent, merge->limits->silent_k, key,
                                   &merge->table->window[window], err);
    }
    for (uint32_t i = 0; i < record->n_near_miss && status == ST_OK; i++) {
        const uint32_t window = record->near_miss[i];
        const uint64_t key =
            evidence_near_key(evidence_key(merge->window_number[window], slot_number));
        if (key <= slot->near_miss.limit)
            status = insert_window(&slot->near_miss, merge->limits->near_miss_k, key,
                                   &merge->table->window[window], err);
    }
    return status;
}

/* The list after the record's windows joined it; source >= n_firing means the record's. False if
 * it stays as it is. */
static bool join_firing(const struct evidence_slot *slot, const struct evidence_record *record,
                        uint64_t slot_number, const struct evidence_merge *merge, size_t *n)
{
    struct evidence_candidate *list = merge->candidates;
    bool is_changed = false;
    for (uint32_t i = 0; i < slot->n_firing; i++) {
        const struct evidence_firing *firing = &slot->firing[i];
        list[i] = (struct evidence_candidate){firing->key, firing->max_value,
                                              firing->window.document_index, i,
                                              firing->is_sampled};
    }
    *n = slot->n_firing;
    for (uint32_t i = 0; i < record->n_firing; i++) {
        const struct evidence_firing_ref *firing = &record->firing[i];
        const struct evidence_candidate candidate = {
            .key = evidence_key(merge->window_number[firing->window], slot_number),
            .max_value = firing->max_value,
            .document_index = merge->table->window[firing->window].document_index,
            .source = slot->n_firing + i,
        };
        is_changed |= evidence_insert_firing(list, n, merge->limits, &candidate);
    }
    return is_changed;
}

/* Arrays of the new list, in one allocation. */
static status_t allocate_firing(struct evidence_slot *out, size_t n_firing, size_t n_activations,
                                struct error *err)
{
    const size_t n_bytes = n_firing * sizeof *out->firing +
                           n_activations * (sizeof *out->value + sizeof *out->position);
    out->firing = malloc(n_bytes);
    if (!out->firing) return error_set(err, ST_NO_MEMORY, "%zu bytes of firing windows", n_bytes);
    out->value = (float *)(void *)(out->firing + n_firing);
    out->position = (uint16_t *)(void *)(out->value + n_activations);
    out->n_firing = 0;
    out->n_activations = 0;
    return ST_OK;
}

/* Append entries [from, end) of the old list, which follow each other in the new one too. */
static void append_old(struct evidence_slot *to, const struct evidence_slot *old, uint32_t from,
                       uint32_t end)
{
    const uint32_t first = old->firing[from].first;
    const uint32_t n = old->firing[end - 1].first + old->firing[end - 1].n_activations - first;
    memcpy(to->value + to->n_activations, old->value + first, n * sizeof *old->value);
    memcpy(to->position + to->n_activations, old->position + first, n * sizeof *old->position);
    for (uint32_t i = from; i < end; i++) {
        struct evidence_firing *firing = &to->firing[to->n_firing++];
        *firing = old->firing[i];
        firing->first += to->n_activations - first; /* modulo 2^32 */
    }
    to->n_activations += n;
}

static void append_new(struct evidence_slot *to, const struct evidence_record *record,
                       const struct evidence_merge *merge, const struct evidence_candidate *kept,
                       uint32_t index)
{
    const struct evidence_firing_ref *firing = &record->firing[index];
    to->firing[to->n_firing++] = (struct evidence_firing){
        .key = kept->key,
        .window = merge->table->window[firing->window],
        .max_value = kept->max_value,
        .first = to->n_activations,
        .n_activations = firing->n_activations,
    };
    memcpy(to->value + to->n_activations, record->value + firing->first,
           firing->n_activations * sizeof *to->value);
    memcpy(to->position + to->n_activations, record->position + firing->first,
           firing->n_activations * sizeof *to->position);
    to->n_activations += firing->n_activations;
}

static void append_list(struct evidence_slot *to, const struct evidence_slot *old,
                        const struct evidence_record *record, const struct evidence_merge *merge,
                        size_t n)
{
    const struct evidence_candidate *list = merge->candidates;
    for (size_t i = 0; i < n;) {
        const uint32_t from = list[i].source;
        if (from >= old->n_firing) {
            append_new(to, record, merge, &list[i++], from - old->n_firing);
            continue;
        }
        uint32_t end = from + 1;
        for (i++; i < n && list[i].source == end && end < old->n_firing; i++) end++;
        append_old(to, old, from, end);
    }
    for (size_t i = 0; i < n; i++) to->firing[i].is_sampled = list[i].is_sampled;
}

static uint32_t source_activations(const struct evidence_slot *old,
                                   const struct evidence_record *record, uint32_t source)
{
    return source < old->n_firing ? old->firing[source].n_activations
                                  : record->firing[source - old->n_firing].n_activations;
}

static status_t merge_firing(struct evidence_slot *slot, const struct evidence_record *record,
                             uint64_t slot_number, const struct evidence_merge *merge,
                             struct error *err)
{
    size_t n, n_activations = 0;
    if (!join_firing(slot, record, slot_number, merge, &n)) return ST_OK;
    for (size_t i = 0; i < n; i++)
        n_activations += source_activations(slot, record, merge->candidates[i].source);
    struct evidence_slot merged = *slot;
    const status_t status = allocate_firing(&merged, n, n_activations, err);
    if (status != ST_OK) return status;
    append_list(&merged, slot, record, merge, n);
    free(slot->firing);
    *slot = merged;
    return ST_OK;
}

status_t evidence_slot_merge(struct evidence_slot *slot, const struct evidence_record *record,
                             const struct evidence_merge *merge, struct error *err)
{
    const uint64_t slot_number = evidence_slot_number(record->slot);
    status_t status = merge_counts(slot, record, err);
    if (status == ST_OK && record->n_documents > 0)
        status = merge_documents(slot, record, merge, err);
    if (status == ST_OK && record->n_firing > 0)
        status = merge_firing(slot, record, slot_number, merge, err);
    if (status == ST_OK) status = merge_silent(slot, record, slot_number, merge, err);
    return status;
}
