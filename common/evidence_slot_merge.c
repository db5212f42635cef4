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

static status_t merge_documents(struct evidence_slot *slot, const struct evidence_record *record,
                                const struct evidence_merge *merge, struct error *err)
{
    struct evidence_candidate *list = merge->candidates;
    size_t n = slot->n_documents;
    bool is_changed = false;
    for (size_t i = 0; i < n; i++)
        list[i] = (struct evidence_candidate){
            .key = evidence_document_number(merge->documents->key[slot->document[i]]),
            .document_index = slot->document[i]};
    for (uint32_t i = 0; i < record->n_documents; i++) {
        const struct evidence_candidate candidate = {
            .key = merge->document_number[record->document[i]],
            .document_index = merge->table->document[record->document[i]]};
        is_changed |= evidence_insert_smallest(list, &n, merge->limits->doc_k, &candidate);
    }
    if (!is_changed) return ST_OK;
    uint32_t *grown = realloc(slot->document, n * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "evidence of %zu documents", n);
    for (size_t i = 0; i < n; i++) grown[i] = list[i].document_index;
    slot->document = grown;
    slot->n_documents = (uint16_t)n;
    if (n == merge->limits->doc_k) slot->document_limit = list[n - 1].key;
    return ST_OK;
}

/* A sample of windows without firing: silent ones or near misses. */
struct sample {
    struct evidence_window **windows; /* of the slot */
    uint16_t *n;
    uint64_t *limit;
    uint32_t k;
    const uint32_t *more; /* [n_more] windows of the record, in the table */
    uint32_t n_more;
    bool is_near_miss;
};

static uint64_t sample_key(const struct sample *sample, uint64_t window_number,
                           uint64_t slot_number)
{
    const uint64_t key = evidence_key(window_number, slot_number);
    return sample->is_near_miss ? evidence_near_key(key) : key;
}

static size_t sample_candidates(const struct sample *sample, uint64_t slot_number,
                                const struct evidence_documents *documents,
                                struct evidence_candidate *list)
{
    for (size_t i = 0; i < *sample->n; i++) {
        const struct evidence_window *window = &(*sample->windows)[i];
        const uint64_t number = evidence_window_number(documents->key[window->document_index],
                                                       window->document_offset);
        list[i] = (struct evidence_candidate){.key = sample_key(sample, number, slot_number),
                                              .document_index = window->document_index,
                                              .source = (uint32_t)i};
    }
    return *sample->n;
}

static status_t store_sample(const struct sample *sample, const struct evidence_merge *merge,
                             size_t n, struct error *err)
{
    const struct evidence_candidate *list = merge->candidates;
    const size_t n_old = *sample->n;
    struct evidence_window *windows = malloc(n * sizeof *windows);
    if (!windows) return error_set(err, ST_NO_MEMORY, "evidence of %zu windows", n);
    for (size_t i = 0; i < n; i++)
        windows[i] = list[i].source < n_old ? (*sample->windows)[list[i].source]
                                            : merge->table->window[list[i].source - n_old];
    free(*sample->windows);
    *sample->windows = windows;
    *sample->n = (uint16_t)n;
    if (n == sample->k) *sample->limit = list[n - 1].key;
    return ST_OK;
}

static status_t merge_sample(const struct sample *sample, uint64_t slot_number,
                             const struct evidence_merge *merge, struct error *err)
{
    struct evidence_candidate *list = merge->candidates;
    const size_t n_old = *sample->n;
    size_t n = 0;
    bool is_open = false, is_changed = false;
    for (uint32_t i = 0; i < sample->n_more; i++) {
        const uint32_t window = sample->more[i];
        const struct evidence_candidate candidate = {
            .key = sample_key(sample, merge->window_number[window], slot_number),
            .document_index = merge->table->window[window].document_index,
            .source = (uint32_t)n_old + window};
        if (candidate.key > *sample->limit) continue;
        if (!is_open) n = sample_candidates(sample, slot_number, merge->documents, list);
        is_open = true;
        is_changed |= evidence_insert_smallest(list, &n, sample->k, &candidate);
    }
    return is_changed ? store_sample(sample, merge, n, err) : ST_OK;
}

static size_t add_firing_candidates(const struct evidence_record *record, uint64_t slot_number,
                                    const struct evidence_merge *merge, uint32_t n_old,
                                    struct evidence_candidate *out)
{
    for (uint32_t i = 0; i < record->n_firing; i++) {
        const struct evidence_firing_ref *firing = &record->firing[i];
        out[i] = (struct evidence_candidate){
            .key = evidence_key(merge->window_number[firing->window], slot_number),
            .max_value = firing->max_value,
            .document_index = merge->table->window[firing->window].document_index,
            .source = n_old + i,
        };
    }
    return record->n_firing;
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

static void append_firing(struct evidence_slot *to, const struct evidence_window *window,
                          float max_value, const float *value, const uint16_t *position,
                          uint16_t n)
{
    to->firing[to->n_firing++] =
        (struct evidence_firing){*window, max_value, to->n_activations, n};
    memcpy(to->value + to->n_activations, value, n * sizeof *value);
    memcpy(to->position + to->n_activations, position, n * sizeof *position);
    to->n_activations += n;
}

static void append_kept(struct evidence_slot *to, const struct evidence_slot *old,
                        const struct evidence_record *record, const struct evidence_merge *merge,
                        uint32_t source)
{
    if (source < old->n_firing) {
        const struct evidence_firing *firing = &old->firing[source];
        append_firing(to, &firing->window, firing->max_value, old->value + firing->first,
                      old->position + firing->first, firing->n_activations);
        return;
    }
    const struct evidence_firing_ref *firing = &record->firing[source - old->n_firing];
    append_firing(to, &merge->table->window[firing->window], firing->max_value,
                  record->value + firing->first, record->position + firing->first,
                  firing->n_activations);
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
    struct evidence_candidate *list = merge->candidates;
    const size_t n_old =
        evidence_slot_candidates(slot, slot_number, merge->documents, list);
    const size_t n = n_old + add_firing_candidates(record, slot_number, merge, (uint32_t)n_old,
                                                   list + n_old);
    evidence_candidates_merge(list, n_old, n, merge->scratch);
    const size_t n_kept = evidence_candidates_select(list, n, merge->limits);
    size_t n_activations = 0;
    bool is_changed = false;
    for (size_t i = 0; i < n; i++) {
        if (!list[i].is_kept) continue;
        n_activations += source_activations(slot, record, list[i].source);
        is_changed |= list[i].source >= n_old;
    }
    if (!is_changed) return ST_OK;
    struct evidence_slot merged = *slot;
    const status_t status = allocate_firing(&merged, n_kept, n_activations, err);
    if (status != ST_OK) return status;
    for (size_t i = 0; i < n; i++)
        if (list[i].is_kept) append_kept(&merged, slot, record, merge, list[i].source);
    free(slot->firing);
    *slot = merged;
    return ST_OK;
}

status_t evidence_slot_merge(struct evidence_slot *slot, const struct evidence_record *record,
                             const struct evidence_merge *merge, struct error *err)
{
    const struct evidence_limits *limits = merge->limits;
    const uint64_t slot_number = evidence_slot_number(record->slot);
    const struct sample silent = {&slot->silent,   &slot->n_silent,    &slot->silent_limit,
                                  limits->silent_k, record->silent,     record->n_silent,
                                  false};
    const struct sample near_miss = {&slot->near_miss,    &slot->n_near_miss,
                                     &slot->near_miss_limit, limits->near_miss_k,
                                     record->near_miss,   record->n_near_miss,
                                     true};
    status_t status = merge_counts(slot, record, err);
    if (status == ST_OK && record->n_documents > 0)
        status = merge_documents(slot, record, merge, err);
    if (status == ST_OK && record->n_firing > 0)
        status = merge_firing(slot, record, slot_number, merge, err);
    if (status == ST_OK) status = merge_sample(&silent, slot_number, merge, err);
    if (status == ST_OK) status = merge_sample(&near_miss, slot_number, merge, err);
    return status;
}
