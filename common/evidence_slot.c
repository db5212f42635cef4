#include "common/evidence_slot.h"

#include "common/evidence_key.h"

#include <stdlib.h>

status_t evidence_merge_init(struct evidence_merge *merge,
                             const struct evidence_documents *documents,
                             const struct evidence_message *message, struct error *err)
{
    const struct evidence_table *table = &message->table;
    *merge = (struct evidence_merge){
        .limits = &message->identity.limits, .documents = documents, .table = table};
    merge->window_number = malloc((table->n_windows + (size_t)1) * sizeof(uint64_t));
    merge->document_number = malloc((table->n_documents + (size_t)1) * sizeof(uint64_t));
    if (!merge->window_number || !merge->document_number)
        return error_set(err, ST_NO_MEMORY, "merging evidence of %u windows", table->n_windows);
    uint64_t check = 0;
    for (uint32_t i = 0; i < table->n_documents; i++) {
        const uint32_t index = table->document[i];
        if (index >= documents->n_documents)
            return error_set(err, ST_CORRUPT, "evidence of document %u, the corpus has %zu", index,
                             documents->n_documents);
        check += evidence_document_check(documents->key[index], index);
        merge->document_number[i] = evidence_document_number(documents->key[index]);
    }
    if (check != message->documents_check)
        return error_set(err, ST_CORRUPT, "evidence of documents with other names");
    for (uint32_t i = 0; i < table->n_windows; i++)
        merge->window_number[i] = evidence_window_number(
            documents->key[table->window[i].document_index], table->window[i].document_offset);
    return ST_OK;
}

void evidence_merge_fini(struct evidence_merge *merge)
{
    free(merge->window_number);
    free(merge->document_number);
    *merge = (struct evidence_merge){0};
}

void evidence_slot_init(struct evidence_slot *slot)
{
    *slot = (struct evidence_slot){.silent.limit = UINT64_MAX,
                                   .near_miss.limit = UINT64_MAX,
                                   .neighbour.limit = UINT64_MAX,
                                   .document_limit = UINT64_MAX};
}

void evidence_slot_fini(struct evidence_slot *slot)
{
    evidence_counts_fini(&slot->values);
    evidence_counts_fini(&slot->windows);
    evidence_counts_fini(&slot->positions);
    free(slot->firing);
    free(slot->value);
    free(slot->document);
    free(slot->silent.key);
    free(slot->silent.window);
    free(slot->near_miss.key);
    free(slot->near_miss.window);
    free(slot->neighbour.key);
    free(slot->neighbour.window);
    evidence_slot_init(slot);
}

bool evidence_slot_is_empty(const struct evidence_slot *slot)
{
    uint32_t n_hard = 0;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) n_hard |= slot->n_hard_tokens[i];
    return slot->values.n_bins == 0 && slot->silent.n == 0 && slot->near_miss.n == 0 &&
           slot->neighbour.n == 0 && n_hard == 0;
}

size_t evidence_slot_memory_bytes(const struct evidence_slot *slot)
{
    const size_t n_bins =
        (size_t)slot->values.n_bins + slot->windows.n_bins + slot->positions.n_bins;
    return n_bins * sizeof(uint32_t) + slot->firing_capacity * sizeof *slot->firing +
           slot->pool_capacity * (sizeof(float) + sizeof(uint16_t)) +
           slot->n_documents * sizeof *slot->document +
           ((size_t)slot->silent.n + slot->near_miss.n + slot->neighbour.n) *
               (sizeof(uint64_t) + sizeof(struct evidence_window));
}
