#include "common/neighbours.h"

#include "common/evidence_bytes.h"

enum { WORD = 4, UNIT_BYTES = 3 * WORD, ENTRY = 2 * WORD };

status_t neighbours_unit_encode(const struct neighbours_unit *unit, struct buffer *out,
                                struct error *err)
{
    void *room;
    const status_t status = buffer_reserve(out, UNIT_BYTES, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, unit->target);
    at = evidence_put_u32(at, unit->first);
    (void)evidence_put_u32(at, unit->n_slots);
    out->n_bytes += UNIT_BYTES;
    return ST_OK;
}

status_t neighbours_unit_decode(const void *bytes, size_t n_bytes, struct neighbours_unit *out,
                                struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct neighbours_unit unit;
    unit.target = evidence_get_u32(&cursor);
    unit.first = evidence_get_u32(&cursor);
    unit.n_slots = evidence_get_u32(&cursor);
    if (cursor.is_bad || evidence_left(&cursor) != 0 || unit.n_slots == 0 ||
        unit.n_slots > NEIGHBOURS_MAX_SLOTS || unit.first > EVIDENCE_MAX_SLOTS)
        return error_set(err, ST_CORRUPT, "neighbours unit of %zu bytes", n_bytes);
    *out = unit;
    return ST_OK;
}

status_t neighbours_answer_encode(const struct neighbour *of, uint32_t n_slots, struct buffer *out,
                                  struct error *err)
{
    void *room;
    const size_t n = (size_t)n_slots * EVIDENCE_NEIGHBOURS, n_bytes = WORD + n * ENTRY;
    if (n_slots > NEIGHBOURS_MAX_SLOTS)
        return error_set(err, ST_TOO_LARGE, "neighbours of %u slots", (unsigned)n_slots);
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, n_slots);
    for (size_t i = 0; i < n; i++) {
        at = evidence_put_u32(at, of[i].slot);
        at = evidence_put_f32(at, of[i].cosine);
    }
    out->n_bytes += n_bytes;
    return ST_OK;
}

/* May `b` follow `a`? */
static bool is_in_order(const struct neighbour *a, const struct neighbour *b)
{
    if (b->slot == EVIDENCE_NO_SLOT) return true;
    if (a->slot == EVIDENCE_NO_SLOT || a->cosine < b->cosine) return false;
    return a->cosine > b->cosine || a->slot < b->slot;
}

/* The neighbours of one slot. */
static bool read_row(struct evidence_cursor *cursor, uint32_t slot, uint32_t n_all,
                     struct neighbour *out)
{
    for (size_t i = 0; i < EVIDENCE_NEIGHBOURS; i++) {
        out[i].slot = evidence_get_u32(cursor);
        out[i].cosine = evidence_get_f32(cursor);
        const bool is_none = out[i].slot == EVIDENCE_NO_SLOT && !(out[i].cosine != 0);
        const bool is_some = out[i].slot < n_all && out[i].slot != slot && out[i].cosine > 0 &&
                             out[i].cosine <= 1.0f;
        if (cursor->is_bad || (!is_none && !is_some)) return false;
        if (i > 0 && !is_in_order(&out[i - 1], &out[i])) return false;
    }
    return true;
}

status_t neighbours_answer_decode(const void *bytes, size_t n_bytes,
                                  const struct neighbours_unit *asked, uint32_t n_all,
                                  struct neighbour *of, struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    const uint32_t n_slots = evidence_get_u32(&cursor);
    const size_t n_row = (size_t)EVIDENCE_NEIGHBOURS * ENTRY;
    if (cursor.is_bad || n_slots != asked->n_slots || evidence_left(&cursor) != n_slots * n_row)
        return error_set(err, ST_CORRUPT, "neighbours in %zu bytes, of %u slots asked", n_bytes,
                         (unsigned)asked->n_slots);
    for (uint32_t i = 0; i < n_slots; i++)
        if (!read_row(&cursor, asked->first + i, n_all, of + (size_t)i * EVIDENCE_NEIGHBOURS))
            return error_set(err, ST_CORRUPT, "neighbours of slot %u make no sense",
                             (unsigned)(asked->first + i));
    return ST_OK;
}
