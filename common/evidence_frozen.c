#include "common/evidence_frozen.h"

#include "common/evidence_header.h"
#include "common/hash.h"

#include <math.h>
#include <stdlib.h>

enum { SLOT_MIN_BYTES = 2 * (sizeof(float) + 1) }; /* two values, two counts */

status_t evidence_frozen_init(struct evidence_frozen *frozen, uint32_t n_slots, struct error *err)
{
    *frozen = (struct evidence_frozen){0};
    if (n_slots == 0 || n_slots > EVIDENCE_MAX_SLOTS)
        return error_set(err, ST_BAD_INPUT, "%u slots, allowed are 1 to %u", n_slots,
                         (unsigned)EVIDENCE_MAX_SLOTS);
    frozen->fire_threshold = calloc(n_slots, sizeof *frozen->fire_threshold);
    frozen->hard_tokens = malloc(n_slots * sizeof *frozen->hard_tokens);
    frozen->neighbours = malloc(n_slots * sizeof *frozen->neighbours);
    frozen->strong_value = calloc(n_slots, sizeof *frozen->strong_value);
    if (!frozen->fire_threshold || !frozen->hard_tokens || !frozen->neighbours ||
        !frozen->strong_value) {
        evidence_frozen_fini(frozen);
        return error_set(err, ST_NO_MEMORY, "frozen thresholds of %u slots", n_slots);
    }
    memset(frozen->hard_tokens, 0xff, n_slots * sizeof *frozen->hard_tokens);
    memset(frozen->neighbours, 0xff, n_slots * sizeof *frozen->neighbours);
    frozen->n_slots = n_slots;
    return ST_OK;
}

void evidence_frozen_fini(struct evidence_frozen *frozen)
{
    free(frozen->fire_threshold);
    free(frozen->hard_tokens);
    free(frozen->neighbours);
    free(frozen->strong_value);
    *frozen = (struct evidence_frozen){0};
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

uint64_t evidence_frozen_key(const struct evidence_frozen *frozen)
{
    if (!frozen) return 0;
    uint64_t key = hash_mix64(frozen->n_slots);
    for (uint32_t i = 0; i < frozen->n_slots; i++) {
        key = hash_mix64(key ^ bits_of(frozen->fire_threshold[i]));
        for (size_t j = 0; j < EVIDENCE_HARD_TOKENS; j++)
            key = hash_mix64(key ^ frozen->hard_tokens[i][j]);
        for (size_t j = 0; j < EVIDENCE_NEIGHBOURS; j++)
            key = hash_mix64(key ^ frozen->neighbours[i][j]);
        key = hash_mix64(key ^ bits_of(frozen->strong_value[i]));
    }
    return key ? key : 1;
}

static unsigned char *put_list(unsigned char *at, const uint32_t *list, unsigned n_max)
{
    unsigned n = 0;
    while (n < n_max && list[n] != UINT32_MAX) n++;
    *at++ = (unsigned char)n;
    for (unsigned j = 0; j < n; j++) at = evidence_put_varint(at, list[j]);
    return at;
}

/* Bytes: magic, slots, all thresholds, all strong values, then per slot the count of hard tokens
 * and the tokens, then per slot the count of neighbours and the neighbours. */
status_t evidence_frozen_encode(const struct evidence_frozen *frozen, struct buffer *out,
                                struct error *err)
{
    void *room;
    const size_t slot_bytes =
        SLOT_MIN_BYTES + (EVIDENCE_HARD_TOKENS + EVIDENCE_NEIGHBOURS) * EVIDENCE_VARINT32_MAX;
    const status_t status = buffer_reserve(
        out, EVIDENCE_MAGIC_BYTES + EVIDENCE_VARINT32_MAX + frozen->n_slots * slot_bytes, &room,
        err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_magic(room, EVIDENCE_FROZEN);
    at = evidence_put_varint(at, frozen->n_slots);
    for (uint32_t i = 0; i < frozen->n_slots; i++)
        at = evidence_put_f32(at, frozen->fire_threshold[i]);
    for (uint32_t i = 0; i < frozen->n_slots; i++)
        at = evidence_put_f32(at, frozen->strong_value[i]);
    for (uint32_t i = 0; i < frozen->n_slots; i++)
        at = put_list(at, frozen->hard_tokens[i], EVIDENCE_HARD_TOKENS);
    for (uint32_t i = 0; i < frozen->n_slots; i++)
        at = put_list(at, frozen->neighbours[i], EVIDENCE_NEIGHBOURS);
    out->n_bytes += (size_t)(at - (unsigned char *)room);
    return ST_OK;
}

static void read_values(struct evidence_cursor *cursor, uint32_t n_slots, float *out)
{
    for (uint32_t i = 0; i < n_slots; i++) {
        const float value = evidence_get_f32(cursor);
        if (!isfinite(value) || !(value >= 0)) evidence_fail(cursor);
        out[i] = value;
    }
}

/* Numbers up to `last`. */
static void read_list(struct evidence_cursor *cursor, unsigned n_max, uint32_t last, uint32_t *out)
{
    const unsigned n = evidence_get_u8(cursor);
    if (n > n_max) evidence_fail(cursor);
    for (unsigned j = 0; j < n && !cursor->is_bad; j++) out[j] = evidence_get_count(cursor, last);
}

static void read_slots(struct evidence_cursor *cursor, struct evidence_frozen *frozen)
{
    const uint32_t n_slots = frozen->n_slots;
    read_values(cursor, n_slots, frozen->fire_threshold);
    read_values(cursor, n_slots, frozen->strong_value);
    for (uint32_t i = 0; i < n_slots && !cursor->is_bad; i++)
        read_list(cursor, EVIDENCE_HARD_TOKENS, EVIDENCE_NO_TOKEN - 1u, frozen->hard_tokens[i]);
    for (uint32_t i = 0; i < n_slots && !cursor->is_bad; i++)
        read_list(cursor, EVIDENCE_NEIGHBOURS, n_slots - 1u, frozen->neighbours[i]);
}

status_t evidence_frozen_decode(const void *bytes, size_t n_bytes, struct evidence_frozen *out,
                                struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct evidence_frozen frozen;
    status_t status = evidence_get_magic(&cursor, EVIDENCE_FROZEN, err);
    if (status != ST_OK) return status;
    const uint32_t n_slots = evidence_get_count(&cursor, EVIDENCE_MAX_SLOTS);
    if (n_slots == 0 || evidence_left(&cursor) / SLOT_MIN_BYTES < n_slots)
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
