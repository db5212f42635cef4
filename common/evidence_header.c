#include "common/evidence_header.h"

static const char *kind_name(enum evidence_kind kind)
{
    switch (kind) {
    case EVIDENCE_PARTIAL: return "an evidence partial";
    case EVIDENCE_BLOCK: return "an evidence block";
    case EVIDENCE_THRESHOLDS: return "evidence thresholds";
    case EVIDENCE_FROZEN: return "frozen thresholds and hard tokens";
    }
    return "evidence";
}

unsigned char *evidence_put_magic(unsigned char *at, enum evidence_kind kind)
{
    const unsigned char magic[EVIDENCE_MAGIC_BYTES] = {'I', 'E', 'V', (unsigned char)kind,
                                                       EVIDENCE_VERSION};
    memcpy(at, magic, sizeof magic);
    return at + sizeof magic;
}

unsigned char *evidence_put_header(unsigned char *at, enum evidence_kind kind,
                                   const struct evidence_identity *identity)
{
    const struct evidence_limits *limits = &identity->limits;
    at = evidence_put_magic(at, kind);
    at = evidence_put_u64(at, identity->target_key);
    at = evidence_put_u64(at, identity->frozen_key);
    at = evidence_put_varint(at, identity->n_slots);
    *at++ = (unsigned char)identity->split;
    at = evidence_put_varint(at, limits->top_k);
    at = evidence_put_varint(at, limits->bin_k);
    at = evidence_put_varint(at, limits->silent_k);
    at = evidence_put_varint(at, limits->near_miss_k);
    at = evidence_put_varint(at, limits->neighbour_k);
    at = evidence_put_varint(at, limits->doc_k);
    at = evidence_put_varint(at, limits->window_tokens);
    at = evidence_put_varint(at, limits->min_window_tokens);
    *at++ = (unsigned char)limits->counts_positions;
    return at;
}

status_t evidence_get_magic(struct evidence_cursor *cursor, enum evidence_kind kind,
                            struct error *err)
{
    unsigned char magic[EVIDENCE_MAGIC_BYTES];
    evidence_put_magic(magic, kind);
    if (evidence_left(cursor) < sizeof magic || memcmp(cursor->at, magic, 4) != 0)
        return error_set(err, ST_PROTOCOL, "these bytes are not %s", kind_name(kind));
    if (cursor->at[4] != EVIDENCE_VERSION)
        return error_set(err, ST_PROTOCOL, "%s of version %u, this program reads %u",
                         kind_name(kind), (unsigned)cursor->at[4], (unsigned)EVIDENCE_VERSION);
    cursor->at += sizeof magic;
    return ST_OK;
}

static void get_identity(struct evidence_cursor *cursor, struct evidence_identity *identity)
{
    struct evidence_limits *limits = &identity->limits;
    identity->target_key = evidence_get_u64(cursor);
    identity->frozen_key = evidence_get_u64(cursor);
    identity->n_slots = evidence_get_count(cursor, EVIDENCE_MAX_SLOTS);
    identity->split = (enum evidence_split)evidence_get_u8(cursor);
    limits->top_k = evidence_get_count(cursor, UINT32_MAX);
    limits->bin_k = evidence_get_count(cursor, UINT32_MAX);
    limits->silent_k = evidence_get_count(cursor, UINT32_MAX);
    limits->near_miss_k = evidence_get_count(cursor, UINT32_MAX);
    limits->neighbour_k = evidence_get_count(cursor, UINT32_MAX);
    limits->doc_k = evidence_get_count(cursor, UINT32_MAX);
    limits->window_tokens = evidence_get_count(cursor, UINT32_MAX);
    limits->min_window_tokens = evidence_get_count(cursor, UINT32_MAX);
    limits->counts_positions = evidence_get_u8(cursor);
}

status_t evidence_get_header(struct evidence_cursor *cursor, enum evidence_kind kind,
                             struct evidence_identity *identity, struct error *err)
{
    const status_t status = evidence_get_magic(cursor, kind, err);
    if (status != ST_OK) return status;
    get_identity(cursor, identity);
    if (cursor->is_bad) return error_set(err, ST_CORRUPT, "%s: cut short", kind_name(kind));
    struct error why = {0};
    if (evidence_identity_check(identity, &why) != ST_OK)
        return error_set(err, ST_CORRUPT, "%s: %s", kind_name(kind), why.text);
    return ST_OK;
}
