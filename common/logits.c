#include "common/logits.h"

#include "common/evidence_bytes.h"

#include <math.h>
#include <stdlib.h>

enum { WORD = 4, UNIT_HEADER = 2 * WORD, ANSWER_HEADER = 3 * WORD, ENTRY = 2 * WORD };

/* --- units --------------------------------------------------------------------------------- */

status_t logits_unit_encode(const struct logits_unit *unit, struct buffer *out, struct error *err)
{
    void *room;
    const size_t n_bytes = UNIT_HEADER + (size_t)unit->n_slots * WORD;
    if (unit->n_slots > LOGITS_MAX_SLOTS)
        return error_set(err, ST_TOO_LARGE, "%u slots in a unit", (unsigned)unit->n_slots);
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, unit->target);
    at = evidence_put_u32(at, unit->n_slots);
    for (uint32_t i = 0; i < unit->n_slots; i++) at = evidence_put_u32(at, unit->slots[i]);
    out->n_bytes += n_bytes;
    return ST_OK;
}

status_t logits_unit_decode(const void *bytes, size_t n_bytes, struct logits_unit *out,
                            struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    const uint32_t target = evidence_get_u32(&cursor), n_slots = evidence_get_u32(&cursor);
    if (cursor.is_bad || n_slots > LOGITS_MAX_SLOTS ||
        evidence_left(&cursor) != (size_t)n_slots * WORD)
        return error_set(err, ST_CORRUPT, "logits unit of %zu bytes", n_bytes);
    out->target = target;
    out->n_slots = n_slots;
    for (uint32_t i = 0; i < n_slots; i++) out->slots[i] = evidence_get_u32(&cursor);
    return ST_OK;
}

/* --- answers ------------------------------------------------------------------------------- */

static size_t n_entries(uint32_t n_slots, uint32_t n_top)
{
    return (size_t)n_slots * 2 * n_top;
}

status_t logits_answer_init(struct logits_answer *out, uint32_t n_slots, uint32_t n_top,
                            struct error *err)
{
    if (n_slots > LOGITS_MAX_SLOTS || n_top > LOGITS_MAX_TOP)
        return error_set(err, ST_TOO_LARGE, "logits of %u slots, %u tokens each", (unsigned)n_slots,
                         (unsigned)n_top);
    *out = (struct logits_answer){.n_slots = n_slots, .n_top = n_top};
    out->entries = calloc(n_entries(n_slots, n_top) + 1, sizeof *out->entries);
    return out->entries ? ST_OK
                        : error_set(err, ST_NO_MEMORY, "logits of %u slots", (unsigned)n_slots);
}

void logits_answer_fini(struct logits_answer *answer)
{
    free(answer->entries);
    *answer = (struct logits_answer){.n_slots = 0};
}

status_t logits_answer_encode(const struct logits_answer *answer, struct buffer *out,
                              struct error *err)
{
    void *room;
    const size_t n = n_entries(answer->n_slots, answer->n_top);
    const size_t n_reason = strlen(answer->reason);
    const size_t n_bytes = ANSWER_HEADER + n_reason + n * ENTRY;
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, answer->n_slots);
    at = evidence_put_u32(at, answer->n_top);
    at = evidence_put_u32(at, (uint32_t)n_reason);
    memcpy(at, answer->reason, n_reason);
    at += n_reason;
    for (size_t i = 0; i < n; i++) {
        at = evidence_put_u32(at, answer->entries[i].token);
        at = evidence_put_f32(at, answer->entries[i].value);
    }
    out->n_bytes += n_bytes;
    return ST_OK;
}

static bool read_entries(struct evidence_cursor *cursor, struct logits_answer *out)
{
    const size_t n = n_entries(out->n_slots, out->n_top);
    for (size_t i = 0; i < n; i++) {
        out->entries[i].token = evidence_get_u32(cursor);
        out->entries[i].value = evidence_get_f32(cursor);
        if (!isfinite(out->entries[i].value)) return false;
    }
    return !cursor->is_bad;
}

status_t logits_answer_decode(const void *bytes, size_t n_bytes, struct logits_answer *out,
                              struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    const uint32_t n_slots = evidence_get_u32(&cursor), n_top = evidence_get_u32(&cursor);
    const uint32_t n_reason = evidence_get_u32(&cursor);
    struct logits_answer made = {.n_slots = 0};
    if (cursor.is_bad || n_slots > LOGITS_MAX_SLOTS || n_top > LOGITS_MAX_TOP ||
        n_reason >= LOGITS_REASON_SIZE || (n_reason > 0 && n_slots > 0) ||
        evidence_left(&cursor) != n_reason + n_entries(n_slots, n_top) * ENTRY)
        return error_set(err, ST_CORRUPT, "logits of %zu bytes", n_bytes);
    const status_t status = logits_answer_init(&made, n_slots, n_top, err);
    if (status != ST_OK) return status;
    memcpy(made.reason, cursor.at, n_reason);
    cursor.at += n_reason;
    if (!read_entries(&cursor, &made)) {
        logits_answer_fini(&made);
        return error_set(err, ST_CORRUPT, "logits that are not finite");
    }
    *out = made;
    return ST_OK;
}
