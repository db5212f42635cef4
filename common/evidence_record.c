#include "common/evidence_record.h"

#include "common/size.h"

#include <stdlib.h>

status_t evidence_record_create(struct evidence_record **out, struct error *err)
{
    struct evidence_record *record = malloc(sizeof *record);
    if (!record) return error_set(err, ST_NO_MEMORY, "evidence record");
    record->cap_activations = 0;
    record->position = NULL;
    record->value = NULL;
    evidence_record_reset(record, 0);
    *out = record;
    return ST_OK;
}

void evidence_record_destroy(struct evidence_record **record)
{
    if (!*record) return;
    free((*record)->position);
    free((*record)->value);
    free(*record);
    *record = NULL;
}

void evidence_record_reset(struct evidence_record *record, uint32_t slot)
{
    record->slot = slot;
    record->n_firing_tokens = 0;
    record->sum_fixed = 0;
    record->max_value = 0;
    record->values.n = record->windows.n = record->positions.n = 0;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++)
        record->n_firing_on_hard[i] = record->n_hard_tokens[i] = 0;
    record->n_documents = record->n_firing = record->n_silent = record->n_near_miss = 0;
    record->n_neighbour = 0;
    record->n_activations = 0;
}

status_t evidence_record_reserve(struct evidence_record *record, size_t n, struct error *err)
{
    size_t needed, n_bytes;
    if (!size_add(record->n_activations, n, &needed) ||
        !size_mul(needed, 2 * sizeof(float), &n_bytes))
        return error_set(err, ST_TOO_LARGE, "evidence record of %zu more activations", n);
    if (needed <= record->cap_activations) return ST_OK;
    size_t capacity = record->cap_activations ? record->cap_activations : 256;
    while (capacity < needed) capacity *= 2;
    uint16_t *position = realloc(record->position, capacity * sizeof *position);
    if (position) record->position = position;
    float *value = position ? realloc(record->value, capacity * sizeof *value) : NULL;
    if (value) record->value = value;
    if (!position || !value)
        return error_set(err, ST_NO_MEMORY, "evidence record of %zu activations", capacity);
    record->cap_activations = capacity;
    return ST_OK;
}

bool evidence_record_is_empty(const struct evidence_record *record)
{
    uint32_t n_hard = 0;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) n_hard |= record->n_hard_tokens[i];
    return record->values.n == 0 && record->n_silent == 0 && record->n_near_miss == 0 &&
           record->n_neighbour == 0 && n_hard == 0;
}
