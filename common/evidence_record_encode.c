#include "common/evidence_record.h"
#include "common/evidence_record_parts.h"

static unsigned record_parts(const struct evidence_record *record)
{
    unsigned parts = 0;
    if (record->values.n > 0) parts |= EVIDENCE_PART_COUNTS;
    if (record->positions.n > 0) parts |= EVIDENCE_PART_POSITIONS;
    if (record->n_firing > 0) parts |= EVIDENCE_PART_FIRING;
    if (record->n_silent > 0) parts |= EVIDENCE_PART_SILENT;
    if (record->n_near_miss > 0) parts |= EVIDENCE_PART_NEAR_MISS;
    if (record->n_neighbour > 0) parts |= EVIDENCE_PART_NEIGHBOUR;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++)
        if (record->n_hard_tokens[i] > 0) parts |= EVIDENCE_PART_HARD;
    return parts;
}

static size_t worst_case_bytes(const struct evidence_record *record)
{
    const size_t n_bins = (size_t)record->values.n + record->windows.n + record->positions.n;
    const size_t n_indices = (size_t)record->n_documents + record->n_silent + record->n_near_miss +
                             record->n_neighbour + 2 * (size_t)record->n_firing;
    const size_t n_fixed = 16 + 2 * EVIDENCE_HARD_TOKENS; /* counts, slot, sum, parts, max */
    return (n_fixed + 2 * n_bins + n_indices) * EVIDENCE_VARINT32_MAX +
           record->n_activations * (3 + sizeof(float));
}

static unsigned char *put_bins(unsigned char *at, const struct evidence_bin_counts *counts)
{
    uint32_t next = 0;
    at = evidence_put_varint(at, counts->n);
    for (uint32_t i = 0; i < counts->n; i++) {
        at = evidence_put_varint(at, counts->bin[i] - next);
        at = evidence_put_varint(at, counts->count[i] - 1u);
        next = counts->bin[i] + 1u;
    }
    return at;
}

static unsigned char *put_ascending(unsigned char *at, const uint32_t *index, uint32_t n)
{
    uint32_t next = 0;
    at = evidence_put_varint(at, n);
    for (uint32_t i = 0; i < n; i++) {
        at = evidence_put_varint(at, index[i] - next);
        next = index[i] + 1;
    }
    return at;
}

static unsigned char *put_counts(unsigned char *at, const struct evidence_record *record)
{
    at = evidence_put_varint(at, record->n_firing_tokens);
    at = evidence_put_varint(at, record->sum_fixed);
    at = evidence_put_f32(at, record->max_value);
    at = put_bins(at, &record->values);
    at = put_bins(at, &record->windows);
    return put_ascending(at, record->document, record->n_documents);
}

/* Windows and lengths first, then all positions, then all values: like beside like packs best. */
static unsigned char *put_firing(unsigned char *at, const struct evidence_record *record)
{
    uint32_t next = 0;
    at = evidence_put_varint(at, record->n_firing);
    for (uint32_t i = 0; i < record->n_firing; i++) {
        at = evidence_put_varint(at, record->firing[i].window - next);
        at = evidence_put_varint(at, record->firing[i].n_activations - 1u);
        next = record->firing[i].window + 1;
    }
    for (uint32_t i = 0; i < record->n_firing; i++) {
        const struct evidence_firing_ref *firing = &record->firing[i];
        uint32_t next_position = 0;
        for (uint32_t j = 0; j < firing->n_activations; j++) {
            const uint32_t position = record->position[firing->first + j];
            at = evidence_put_varint(at, position - next_position);
            next_position = position + 1;
        }
    }
    for (uint32_t i = 0; i < record->n_firing; i++)
        for (uint32_t j = 0; j < record->firing[i].n_activations; j++)
            at = evidence_put_f32(at, record->value[record->firing[i].first + j]);
    return at;
}

static unsigned char *put_hard(unsigned char *at, const struct evidence_record *record)
{
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        at = evidence_put_varint(at, record->n_hard_tokens[i]);
        at = evidence_put_varint(at, record->n_firing_on_hard[i]);
    }
    return at;
}

status_t evidence_record_encode(const struct evidence_record *record, uint32_t slot_gap,
                                struct buffer *out, struct error *err)
{
    void *room;
    const status_t status = buffer_reserve(out, worst_case_bytes(record), &room, err);
    if (status != ST_OK) return status;
    const unsigned parts = record_parts(record);
    unsigned char *at = evidence_put_varint(room, slot_gap);
    *at++ = (unsigned char)parts;
    if (parts & EVIDENCE_PART_COUNTS) at = put_counts(at, record);
    if (parts & EVIDENCE_PART_POSITIONS) at = put_bins(at, &record->positions);
    if (parts & EVIDENCE_PART_FIRING) at = put_firing(at, record);
    if (parts & EVIDENCE_PART_SILENT) at = put_ascending(at, record->silent, record->n_silent);
    if (parts & EVIDENCE_PART_NEAR_MISS)
        at = put_ascending(at, record->near_miss, record->n_near_miss);
    if (parts & EVIDENCE_PART_HARD) at = put_hard(at, record);
    if (parts & EVIDENCE_PART_NEIGHBOUR)
        at = put_ascending(at, record->neighbour, record->n_neighbour);
    out->n_bytes += (size_t)(at - (unsigned char *)room);
    return ST_OK;
}
