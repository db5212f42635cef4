#include "common/evidence_record.h"
#include "common/evidence_record_parts.h"

#include <math.h>

static bool get_bins(struct evidence_cursor *cursor, uint32_t n_bins, uint32_t max_total,
                     struct evidence_bin_counts *counts, uint64_t *total)
{
    const uint32_t n = evidence_get_count(cursor, n_bins);
    uint32_t next = 0;
    *total = 0;
    for (uint32_t i = 0; i < n && !cursor->is_bad; i++) {
        const uint32_t gap = evidence_get_count(cursor, n_bins);
        if (gap >= n_bins - next) return false;
        counts->bin[i] = (uint16_t)(next + gap);
        counts->count[i] = evidence_get_count(cursor, max_total - 1u) + 1u;
        *total += counts->count[i];
        next += gap + 1;
    }
    counts->n = n;
    return !cursor->is_bad && *total <= max_total;
}

/* Strictly ascending indices below `bound`, at least one. */
static bool get_ascending(struct evidence_cursor *cursor, uint32_t max_n, uint32_t bound,
                          uint32_t *index, uint32_t *n_out)
{
    const uint32_t n = evidence_get_count(cursor, max_n);
    uint32_t next = 0;
    for (uint32_t i = 0; i < n && !cursor->is_bad; i++) {
        const uint32_t gap = evidence_get_count(cursor, bound);
        if (gap >= bound - next) return false;
        index[i] = next + gap;
        next += gap + 1;
    }
    *n_out = n;
    return !cursor->is_bad && n > 0;
}

static bool is_positive(float value)
{
    return value > 0 && isfinite(value);
}

static bool get_counts(struct evidence_cursor *cursor, const struct evidence_record_bounds *bounds,
                       struct evidence_record *record)
{
    uint64_t n_positive, n_windows;
    record->n_firing_tokens = evidence_get_count(cursor, bounds->n_tokens);
    record->sum_fixed = evidence_get_varint(cursor);
    record->max_value = evidence_get_f32(cursor);
    if (cursor->is_bad || !is_positive(record->max_value)) return false;
    if (!get_bins(cursor, EVIDENCE_VALUE_BINS, bounds->n_tokens, &record->values, &n_positive) ||
        !get_bins(cursor, EVIDENCE_RESERVOIR_BINS, bounds->n_tokens, &record->windows, &n_windows))
        return false;
    if (n_positive == 0 || record->n_firing_tokens > n_positive ||
        n_windows > record->n_firing_tokens)
        return false;
    /* documents are there exactly if something fired */
    if (record->n_firing_tokens == 0) return evidence_get_varint(cursor) == 0;
    return get_ascending(cursor, bounds->limits.doc_k, bounds->n_documents, record->document,
                         &record->n_documents);
}

static bool get_positions(struct evidence_cursor *cursor,
                          const struct evidence_record_bounds *bounds,
                          struct evidence_record *record)
{
    uint64_t total;
    if (!bounds->limits.counts_positions) return false;
    return get_bins(cursor, EVIDENCE_POSITION_BUCKETS, bounds->n_tokens, &record->positions,
                    &total) &&
           total == record->n_firing_tokens && total > 0;
}

static bool get_firing_windows(struct evidence_cursor *cursor,
                               const struct evidence_record_bounds *bounds,
                               struct evidence_record *record)
{
    const struct evidence_limits *limits = &bounds->limits;
    const uint32_t max_firing = limits->top_k + EVIDENCE_RESERVOIR_BINS * limits->bin_k;
    const uint32_t n = evidence_get_count(cursor, max_firing);
    uint32_t next = 0;
    size_t first = 0;
    for (uint32_t i = 0; i < n && !cursor->is_bad; i++) {
        const uint32_t gap = evidence_get_count(cursor, bounds->n_windows);
        if (gap >= bounds->n_windows - next) return false;
        struct evidence_firing_ref *firing = &record->firing[i];
        firing->window = next + gap;
        firing->first = (uint32_t)first;
        firing->n_activations =
            (uint16_t)(evidence_get_count(cursor, bounds->windows[next + gap].n_tokens - 1u) + 1u);
        first += firing->n_activations;
        next += gap + 1;
    }
    record->n_firing = n;
    record->n_activations = first;
    return !cursor->is_bad && n > 0;
}

static bool get_activation_positions(struct evidence_cursor *cursor,
                                     const struct evidence_record_bounds *bounds,
                                     struct evidence_record *record)
{
    for (uint32_t i = 0; i < record->n_firing; i++) {
        const struct evidence_firing_ref *firing = &record->firing[i];
        const uint32_t n_tokens = bounds->windows[firing->window].n_tokens;
        uint32_t next = 0;
        for (uint32_t j = 0; j < firing->n_activations; j++) {
            const uint32_t gap = evidence_get_count(cursor, n_tokens);
            if (cursor->is_bad || gap >= n_tokens - next) return false;
            record->position[firing->first + j] = (uint16_t)(next + gap);
            next += gap + 1;
        }
    }
    return true;
}

static bool get_activation_values(struct evidence_cursor *cursor, struct evidence_record *record)
{
    for (uint32_t i = 0; i < record->n_firing; i++) {
        struct evidence_firing_ref *firing = &record->firing[i];
        float max_value = 0;
        for (uint32_t j = 0; j < firing->n_activations; j++) {
            const float value = evidence_get_f32(cursor);
            if (!is_positive(value) || value > record->max_value) return false;
            record->value[firing->first + j] = value;
            if (value > max_value) max_value = value;
        }
        firing->max_value = max_value;
    }
    return !cursor->is_bad;
}

/* The bytes left bound the activations before memory is taken for them. */
static status_t get_firing(struct evidence_cursor *cursor,
                           const struct evidence_record_bounds *bounds,
                           struct evidence_record *record, struct error *err)
{
    const status_t corrupt = ST_CORRUPT;
    if (record->values.n == 0 || !get_firing_windows(cursor, bounds, record)) return corrupt;
    const size_t n = record->n_activations;
    if (n > evidence_left(cursor) / (1 + sizeof(float))) return corrupt;
    record->n_activations = 0;
    const status_t status = evidence_record_reserve(record, n, err);
    if (status != ST_OK) return status;
    record->n_activations = n;
    if (!get_activation_positions(cursor, bounds, record)) return corrupt;
    return get_activation_values(cursor, record) ? ST_OK : corrupt;
}

static bool get_hard(struct evidence_cursor *cursor, const struct evidence_record_bounds *bounds,
                     struct evidence_record *record)
{
    uint32_t n_any = 0;
    for (size_t i = 0; i < EVIDENCE_HARD_TOKENS; i++) {
        record->n_hard_tokens[i] = evidence_get_count(cursor, bounds->n_tokens);
        record->n_firing_on_hard[i] = evidence_get_count(cursor, record->n_hard_tokens[i]);
        if (record->n_firing_on_hard[i] > record->n_firing_tokens) return false;
        n_any |= record->n_hard_tokens[i];
    }
    return !cursor->is_bad && n_any > 0;
}

static status_t get_parts(struct evidence_cursor *cursor, unsigned parts,
                          const struct evidence_record_bounds *bounds,
                          struct evidence_record *record, struct error *err)
{
    const struct evidence_limits *limits = &bounds->limits;
    if ((parts & EVIDENCE_PART_COUNTS) && !get_counts(cursor, bounds, record)) return ST_CORRUPT;
    if ((parts & EVIDENCE_PART_POSITIONS) && !get_positions(cursor, bounds, record))
        return ST_CORRUPT;
    if (parts & EVIDENCE_PART_FIRING) {
        const status_t status = get_firing(cursor, bounds, record, err);
        if (status != ST_OK) return status;
    }
    if ((parts & EVIDENCE_PART_SILENT) &&
        !get_ascending(cursor, limits->silent_k, bounds->n_windows, record->silent,
                       &record->n_silent))
        return ST_CORRUPT;
    if ((parts & EVIDENCE_PART_NEAR_MISS) &&
        !get_ascending(cursor, limits->near_miss_k, bounds->n_windows, record->near_miss,
                       &record->n_near_miss))
        return ST_CORRUPT;
    if ((parts & EVIDENCE_PART_HARD) && !get_hard(cursor, bounds, record)) return ST_CORRUPT;
    if ((parts & EVIDENCE_PART_NEIGHBOUR) &&
        !get_ascending(cursor, limits->neighbour_k, bounds->n_windows, record->neighbour,
                       &record->n_neighbour))
        return ST_CORRUPT;
    return ST_OK;
}

/* Two ascending lists share no window. */
static bool is_disjoint(const struct evidence_record *record, const uint32_t *index, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < record->n_firing; i++) {
        while (at < n && index[at] < record->firing[i].window) at++;
        if (at < n && index[at] == record->firing[i].window) return false;
    }
    return true;
}

/* What the parts must be to each other. */
static bool is_consistent(const struct evidence_record *record)
{
    uint64_t n_firing_windows = 0;
    for (uint32_t i = 0; i < record->windows.n; i++) n_firing_windows += record->windows.count[i];
    return record->n_firing <= n_firing_windows &&
           is_disjoint(record, record->silent, record->n_silent) &&
           is_disjoint(record, record->near_miss, record->n_near_miss) &&
           is_disjoint(record, record->neighbour, record->n_neighbour);
}

status_t evidence_record_decode(struct evidence_cursor *cursor,
                                const struct evidence_record_bounds *bounds, uint32_t *next_slot,
                                struct evidence_record *record, struct error *err)
{
    const uint32_t gap = evidence_get_count(cursor, bounds->end_slot);
    if (cursor->is_bad || *next_slot >= bounds->end_slot || gap >= bounds->end_slot - *next_slot)
        return error_set(err, ST_CORRUPT, "evidence record of a slot after the last");
    evidence_record_reset(record, *next_slot + gap);
    const unsigned parts = evidence_get_u8(cursor);
    status_t status = ST_CORRUPT;
    if (parts != 0 && parts <= EVIDENCE_PARTS_ALL)
        status = get_parts(cursor, parts, bounds, record, err);
    if (status == ST_NO_MEMORY || status == ST_TOO_LARGE) return status;
    if (status != ST_OK || cursor->is_bad || !is_consistent(record))
        return error_set(err, ST_CORRUPT, "evidence record of slot %u contradicts itself",
                         record->slot);
    *next_slot = record->slot + 1;
    return ST_OK;
}
