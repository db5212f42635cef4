#include "common/evidence_frozen.h"

#include "common/evidence_header.h"
#include "common/hash.h"

#include <math.h>
#include <stdlib.h>

status_t evidence_frozen_init(struct evidence_frozen *frozen, uint32_t n_slots, struct error *err)
{
    *frozen = (struct evidence_frozen){0};
    if (n_slots == 0 || n_slots > EVIDENCE_MAX_SLOTS)
        return error_set(err, ST_BAD_INPUT, "%u slots, allowed are 1 to %u", n_slots,
                         (unsigned)EVIDENCE_MAX_SLOTS);
    frozen->fire_threshold = calloc(n_slots, sizeof *frozen->fire_threshold);
    frozen->hard_tokens = malloc(n_slots * sizeof *frozen->hard_tokens);
    if (!frozen->fire_threshold || !frozen->hard_tokens) {
        evidence_frozen_fini(frozen);
        return error_set(err, ST_NO_MEMORY, "frozen thresholds of %u slots", n_slots);
    }
    memset(frozen->hard_tokens, 0xff, n_slots * sizeof *frozen->hard_tokens);
    frozen->n_slots = n_slots;
    return ST_OK;
}

void evidence_frozen_fini(struct evidence_frozen *frozen)
{
    free(frozen->fire_threshold);
    free(frozen->hard_tokens);
    *frozen = (struct evidence_frozen){0};
}

uint64_t evidence_frozen_key(const struct evidence_frozen *frozen)
{
    if (!frozen) return 0;
    uint64_t key = hash_mix64(frozen->n_slots);
    for (uint32_t i = 0; i < frozen->n_slots; i++) {
        uint32_t bits;
        memcpy(&bits, &frozen->fire_threshold[i], sizeof bits);
        key = hash_mix64(key ^ bits);
        for (size_t j = 0; j < EVIDENCE_HARD_TOKENS; j++)
            key = hash_mix64(key ^ frozen->hard_tokens[i][j]);
    }
    return key ? key : 1;
}

/* Bytes: magic, slots, all thresholds, then per slot the count of hard tokens and the tokens. */
status_t evidence_frozen_encode(const struct evidence_frozen *frozen, struct buffer *out,
                                struct error *err)
{
    void *room;
    const size_t slot_bytes = sizeof(float) + 1 + EVIDENCE_HARD_TOKENS * EVIDENCE_VARINT32_MAX;
    const status_t status = buffer_reserve(
        out, EVIDENCE_MAGIC_BYTES + EVIDENCE_VARINT32_MAX + frozen->n_slots * slot_bytes, &room,
        err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_magic(room, EVIDENCE_FROZEN);
    at = evidence_put_varint(at, frozen->n_slots);
    for (uint32_t i = 0; i < frozen->n_slots; i++)
        at = evidence_put_f32(at, frozen->fire_threshold[i]);
    for (uint32_t i = 0; i < frozen->n_slots; i++) {
        const uint32_t *tokens = frozen->hard_tokens[i];
        unsigned n = 0;
        while (n < EVIDENCE_HARD_TOKENS && tokens[n] != EVIDENCE_NO_TOKEN) n++;
        *at++ = (unsigned char)n;
        for (unsigned j = 0; j < n; j++) at = evidence_put_varint(at, tokens[j]);
    }
    out->n_bytes += (size_t)(at - (unsigned char *)room);
    return ST_OK;
}

static void read_slots(struct evidence_cursor *cursor, struct evidence_frozen *frozen)
{
    for (uint32_t i = 0; i < frozen->n_slots; i++) {
        const float threshold = evidence_get_f32(cursor);
        if (!isfinite(threshold) || !(threshold >= 0)) evidence_fail(cursor);
        frozen->fire_threshold[i] = threshold;
    }
    for (uint32_t i = 0; i < frozen->n_slots && !cursor->is_bad; i++) {
        const unsigned n = evidence_get_u8(cursor);
        if (n > EVIDENCE_HARD_TOKENS) evidence_fail(cursor);
        for (unsigned j = 0; j < n && !cursor->is_bad; j++)
            frozen->hard_tokens[i][j] = evidence_get_count(cursor, EVIDENCE_NO_TOKEN - 1u);
    }
}

status_t evidence_frozen_decode(const void *bytes, size_t n_bytes, struct evidence_frozen *out,
                                struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct evidence_frozen frozen;
    status_t status = evidence_get_magic(&cursor, EVIDENCE_FROZEN, err);
    if (status != ST_OK) return status;
    const uint32_t n_slots = evidence_get_count(&cursor, EVIDENCE_MAX_SLOTS);
    if (n_slots == 0 || evidence_left(&cursor) / (sizeof(float) + 1) < n_slots)
        return error_set(err, ST_CORRUPT, "frozen thresholds of %u slots in %zu bytes", n_slots,
                         n_bytes);
    status = evidence_frozen_init(&frozen, n_slots, err);
    if (status != ST_OK) return status;
    read_slots(&cursor, &frozen);
    if (cursor.is_bad || evidence_left(&cursor) != 0) {
        evidence_frozen_fini(&frozen);
        return error_set(err, ST_CORRUPT, "frozen thresholds of %u slots do not fit their bytes",
                         n_slots);
    }
    *out = frozen;
    return ST_OK;
}
