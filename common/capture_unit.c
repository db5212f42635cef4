#include "common/capture_unit.h"

#include <stdlib.h>

/* Why two segments may not stand beside each other, NULL if they may. */
static const char *conflict(const struct capture_segment *a, const struct capture_segment *b)
{
    if (a->row == b->row && a->start < b->start + b->length && b->start < a->start + a->length)
        return "overlaps another";
    if (a->document_index != b->document_index) return NULL;
    if (a->document_key != b->document_key) return "gives its document another key";
    if (a->document_offset < b->document_offset + b->length &&
        b->document_offset < a->document_offset + a->length)
        return "repeats tokens of its document";
    return NULL;
}

static status_t check_segment(const struct capture_unit *unit, uint32_t index, struct error *err)
{
    const struct capture_segment *segment = &unit->segments[index];
    const char *what = NULL;
    if (segment->length == 0)
        what = "is empty";
    else if (segment->row >= unit->n_rows || segment->start >= unit->row_tokens ||
             segment->length > unit->row_tokens - segment->start)
        what = "lies outside the unit";
    else if (segment->document_offset > UINT32_MAX - segment->length)
        what = "has an offset that is too large";
    else if (segment->document_index >= EVIDENCE_MAX_DOCUMENTS)
        what = "is of a document with too large an index";
    if (!what) return ST_OK;
    return error_set(err, ST_BAD_INPUT, "capture unit %llu: segment %u %s",
                     (unsigned long long)unit->unit_number, index, what);
}

static int compare_by_place(const void *left, const void *right)
{
    const struct capture_segment *a = left, *b = right;
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return (a->start > b->start) - (a->start < b->start);
}

static int compare_by_document(const void *left, const void *right)
{
    const struct capture_segment *a = left, *b = right;
    if (a->document_index != b->document_index)
        return a->document_index < b->document_index ? -1 : 1;
    return (a->document_offset > b->document_offset) - (a->document_offset < b->document_offset);
}

/* Sorted either way, only neighbours can conflict. */
static status_t check_neighbours(const struct capture_unit *unit, struct capture_segment *sorted,
                                 int (*compare)(const void *, const void *), struct error *err)
{
    qsort(sorted, unit->n_segments, sizeof *sorted, compare);
    for (uint32_t i = 1; i < unit->n_segments; i++) {
        const char *what = conflict(&sorted[i - 1], &sorted[i]);
        if (what)
            return error_set(
                err, ST_BAD_INPUT, "capture unit %llu: the segment at row %u, position %u %s",
                (unsigned long long)unit->unit_number, sorted[i].row, sorted[i].start, what);
    }
    return ST_OK;
}

status_t capture_unit_check(const struct capture_unit *unit, struct error *err)
{
    status_t status = ST_OK;
    if (!evidence_split_name(unit->split))
        return error_set(err, ST_BAD_INPUT, "capture unit %llu: unknown split %u",
                         (unsigned long long)unit->unit_number, (unsigned)unit->split);
    if ((uint64_t)unit->n_rows * unit->row_tokens > EVIDENCE_MAX_UNIT_TOKENS)
        return error_set(err, ST_TOO_LARGE, "capture unit %llu: %u x %u tokens, allowed are %u",
                         (unsigned long long)unit->unit_number, unit->n_rows, unit->row_tokens,
                         (unsigned)EVIDENCE_MAX_UNIT_TOKENS);
    for (uint32_t i = 0; i < unit->n_segments && status == ST_OK; i++)
        status = check_segment(unit, i, err);
    if (status != ST_OK || unit->n_segments == 0) return status;
    struct capture_segment *sorted = malloc(unit->n_segments * sizeof *sorted);
    if (!sorted) return error_set(err, ST_NO_MEMORY, "%u segments", unit->n_segments);
    for (uint32_t i = 0; i < unit->n_segments; i++) sorted[i] = unit->segments[i];
    status = check_neighbours(unit, sorted, compare_by_place, err);
    if (status == ST_OK) status = check_neighbours(unit, sorted, compare_by_document, err);
    free(sorted);
    return status;
}
