#include "common/capture_unit_bytes.h"

#include "common/evidence_bytes.h"
#include "common/size.h"

#include <stdlib.h>

enum { UNIT_VERSION = 1, HEAD_BYTES = 28, SEGMENT_BYTES = 28, TOKEN_BYTES = 4 };

static unsigned char *put_segment(unsigned char *at, const struct capture_segment *segment)
{
    at = evidence_put_u32(at, segment->row);
    at = evidence_put_u32(at, segment->start);
    at = evidence_put_u32(at, segment->length);
    at = evidence_put_u32(at, segment->document_index);
    at = evidence_put_u32(at, segment->document_offset);
    return evidence_put_u64(at, segment->document_key);
}

status_t capture_unit_encode(const struct capture_unit *unit, struct buffer *out, struct error *err)
{
    const uint64_t n_tokens = (uint64_t)unit->n_rows * unit->row_tokens;
    if (n_tokens > CAPTURE_UNIT_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "capture unit: %u rows of %u tokens",
                         (unsigned)unit->n_rows, (unsigned)unit->row_tokens);
    const size_t n_bytes =
        HEAD_BYTES + (size_t)unit->n_segments * SEGMENT_BYTES + (size_t)n_tokens * TOKEN_BYTES;
    void *room;
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = room;
    at = evidence_put_u32(at, UNIT_VERSION);
    at = evidence_put_u32(at, (uint32_t)unit->split);
    at = evidence_put_u64(at, unit->unit_number);
    at = evidence_put_u32(at, unit->n_rows);
    at = evidence_put_u32(at, unit->row_tokens);
    at = evidence_put_u32(at, unit->n_segments);
    for (uint32_t i = 0; i < unit->n_segments; i++) at = put_segment(at, &unit->segments[i]);
    for (size_t i = 0; i < n_tokens; i++) at = evidence_put_u32(at, unit->tokens[i]);
    out->n_bytes += n_bytes;
    return ST_OK;
}

static struct capture_segment get_segment(struct evidence_cursor *cursor)
{
    struct capture_segment segment;
    segment.row = evidence_get_u32(cursor);
    segment.start = evidence_get_u32(cursor);
    segment.length = evidence_get_u32(cursor);
    segment.document_index = evidence_get_u32(cursor);
    segment.document_offset = evidence_get_u32(cursor);
    segment.document_key = evidence_get_u64(cursor);
    return segment;
}

static status_t read_head(struct evidence_cursor *cursor, struct capture_unit *unit,
                          struct error *err)
{
    const uint32_t version = evidence_get_u32(cursor);
    const uint32_t split = evidence_get_u32(cursor);
    unit->unit_number = evidence_get_u64(cursor);
    unit->n_rows = evidence_get_u32(cursor);
    unit->row_tokens = evidence_get_u32(cursor);
    unit->n_segments = evidence_get_u32(cursor);
    if (cursor->is_bad) return error_set(err, ST_CORRUPT, "capture unit: cut off");
    if (version != UNIT_VERSION)
        return error_set(err, ST_PROTOCOL, "capture unit: version %u", (unsigned)version);
    if (split >= EVIDENCE_N_SPLITS)
        return error_set(err, ST_CORRUPT, "capture unit: split %u", (unsigned)split);
    unit->split = (enum evidence_split)split;
    const uint64_t n_tokens = (uint64_t)unit->n_rows * unit->row_tokens;
    if (n_tokens == 0 || n_tokens > CAPTURE_UNIT_MAX_TOKENS)
        return error_set(err, ST_TOO_LARGE, "capture unit: %u rows of %u tokens",
                         (unsigned)unit->n_rows, (unsigned)unit->row_tokens);
    const uint64_t left = evidence_left(cursor);
    if (left != (uint64_t)unit->n_segments * SEGMENT_BYTES + n_tokens * TOKEN_BYTES)
        return error_set(err, ST_CORRUPT, "capture unit: %llu bytes do not fit its head",
                         (unsigned long long)left);
    return ST_OK;
}

status_t capture_unit_decode(const void *bytes, size_t n_bytes, struct capture_unit_copy *out,
                             struct error *err)
{
    struct capture_unit_copy copy = {0};
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    status_t status = read_head(&cursor, &copy.unit, err);
    if (status != ST_OK) return status;
    const size_t n_tokens = (size_t)copy.unit.n_rows * copy.unit.row_tokens;
    copy.segments = malloc((copy.unit.n_segments + (size_t)1) * sizeof *copy.segments);
    copy.tokens = malloc(n_tokens * sizeof *copy.tokens);
    if (!copy.segments || !copy.tokens)
        status = error_set(err, ST_NO_MEMORY, "capture unit of %zu tokens", n_tokens);
    for (uint32_t i = 0; status == ST_OK && i < copy.unit.n_segments; i++)
        copy.segments[i] = get_segment(&cursor);
    for (size_t i = 0; status == ST_OK && i < n_tokens; i++)
        copy.tokens[i] = evidence_get_u32(&cursor);
    copy.unit.segments = copy.segments;
    copy.unit.tokens = copy.tokens;
    if (status == ST_OK) status = capture_unit_check(&copy.unit, err);
    if (status == ST_OK)
        *out = copy;
    else
        capture_unit_copy_fini(&copy);
    return status;
}

void capture_unit_copy_fini(struct capture_unit_copy *copy)
{
    free(copy->tokens);
    free(copy->segments);
    *copy = (struct capture_unit_copy){0};
}
