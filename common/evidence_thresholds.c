#include "common/evidence_thresholds.h"

#include "common/evidence_message.h"
#include "common/evidence_state_parts.h"

#include <stdlib.h>

/* Keys as 16-bit or 8-bit floating numbers: the place of the leading one, then the bits below
 * it. Monotone, so "code(key) <= code(limit)" holds for every key <= limit. */
static uint16_t key_code16(uint64_t key)
{
    if (key == 0) return 0;
    const unsigned octave = 63u - (unsigned)__builtin_clzll(key);
    const uint64_t below = octave >= 10 ? key >> (octave - 10u) : key << (10u - octave);
    return (uint16_t)(octave << 10 | (below & 1023u));
}

/* Largest key of a code. */
static uint64_t key_code16_end(uint16_t code)
{
    const unsigned octave = (unsigned)code >> 10;
    const uint64_t below = 1024u | (code & 1023u);
    if (octave < 10) return below >> (10u - octave);
    const unsigned shift = octave - 10u;
    return below << shift | ((UINT64_C(1) << shift) - 1);
}

static uint8_t key_code8(uint64_t key)
{
    const uint16_t code = key_code16(key); /* 6 bits of octave, 10 below */
    const unsigned octave = (unsigned)code >> 10;
    return octave < 32 ? 0 : (uint8_t)((octave - 32u) << 3 | (code & 1023u) >> 7);
}

/* A float > 0 cut to its upper 16 bits: monotone as well. */
static uint16_t value_code(float value)
{
    return (uint16_t)(evidence_float_bits(value) >> 16);
}

enum { NO_LIMIT8 = UINT8_MAX };

struct cuts {
    uint16_t top_value; /* 0: the top has room */
    uint16_t silent, near_miss, neighbour, document;
    uint8_t first_bin, n_bins; /* bins outside have no limit */
    uint32_t first;            /* of the slot's bins in bin_limit */
};

struct evidence_thresholds {
    struct evidence_identity identity;
    struct cuts *cuts; /* [identity.n_slots] */
    uint8_t *bin_limit;
    size_t n_bin_limits;
};

static status_t allocate(struct evidence_thresholds **out, const struct evidence_identity *identity,
                         size_t n_bin_limits, struct error *err)
{
    struct evidence_thresholds *thresholds = calloc(1, sizeof *thresholds);
    if (thresholds) {
        thresholds->identity = *identity;
        thresholds->cuts = calloc(identity->n_slots, sizeof *thresholds->cuts);
        thresholds->bin_limit = malloc(n_bin_limits + 1);
    }
    if (!thresholds || !thresholds->cuts || !thresholds->bin_limit) {
        evidence_thresholds_destroy(&thresholds);
        return error_set(err, ST_NO_MEMORY, "thresholds of %u slots", identity->n_slots);
    }
    *out = thresholds;
    return ST_OK;
}

void evidence_thresholds_destroy(struct evidence_thresholds **thresholds)
{
    if (!*thresholds) return;
    free((*thresholds)->cuts);
    free((*thresholds)->bin_limit);
    free(*thresholds);
    *thresholds = NULL;
}

/* Limits of the bins that are full, written to `limits` [64] from the first such bin on. */
static void cut_bins(const struct evidence_slot *slot, uint32_t bin_k, struct cuts *cuts,
                     uint8_t *limits)
{
    uint32_t n_sampled[EVIDENCE_RESERVOIR_BINS] = {0};
    uint64_t largest[EVIDENCE_RESERVOIR_BINS] = {0};
    uint32_t low = EVIDENCE_RESERVOIR_BINS, high = 0;
    for (size_t i = 0; i < slot->n_firing; i++) {
        if (!slot->firing[i].is_sampled) continue;
        const uint32_t bin = evidence_reservoir_bin(slot->firing[i].max_value);
        n_sampled[bin]++;
        if (slot->firing[i].key > largest[bin]) largest[bin] = slot->firing[i].key;
        if (n_sampled[bin] == bin_k && bin < low) low = bin;
        if (n_sampled[bin] == bin_k && bin > high) high = bin;
    }
    if (low > high) return;
    cuts->first_bin = (uint8_t)low;
    cuts->n_bins = (uint8_t)(high - low + 1);
    for (uint32_t bin = low; bin <= high; bin++)
        limits[bin - low] = n_sampled[bin] == bin_k ? key_code8(largest[bin]) : NO_LIMIT8;
}

static void cut_slot(const struct evidence_state *state, uint32_t slot_index,
                     struct evidence_thresholds *thresholds)
{
    const struct evidence_limits *limits = &state->params.identity.limits;
    const struct evidence_slot *slot = &state->slots[slot_index];
    struct cuts *cuts = &thresholds->cuts[slot_index];
    if (slot->n_firing >= limits->top_k)
        cuts->top_value = value_code(slot->firing[limits->top_k - 1].max_value);
    cuts->silent = key_code16(slot->silent.limit);
    cuts->near_miss = key_code16(slot->near_miss.limit);
    cuts->neighbour = key_code16(slot->neighbour.limit);
    cuts->document = key_code16(slot->document_limit);
    cuts->first = (uint32_t)thresholds->n_bin_limits;
    cut_bins(slot, limits->bin_k, cuts, thresholds->bin_limit + thresholds->n_bin_limits);
    thresholds->n_bin_limits += cuts->n_bins;
}

status_t evidence_thresholds_create(struct evidence_thresholds **out,
                                    const struct evidence_state *state, struct error *err)
{
    const struct evidence_identity *identity = &state->params.identity;
    struct evidence_thresholds *thresholds;
    if (state->params.n_slots != identity->n_slots)
        return error_set(err, ST_BAD_INPUT, "thresholds of %u of a target's %u slots",
                         state->params.n_slots, identity->n_slots);
    const size_t max_bins = (size_t)identity->n_slots * EVIDENCE_RESERVOIR_BINS;
    const status_t status = allocate(&thresholds, identity, max_bins, err);
    for (uint32_t i = 0; i < identity->n_slots && status == ST_OK; i++)
        cut_slot(state, i, thresholds);
    if (status == ST_OK) *out = thresholds;
    return status;
}

const struct evidence_identity *evidence_thresholds_identity(
    const struct evidence_thresholds *thresholds)
{
    return &thresholds->identity;
}

struct evidence_cuts evidence_thresholds_cuts(const struct evidence_thresholds *thresholds,
                                              uint32_t slot)
{
    if (!thresholds)
        return (struct evidence_cuts){.silent = UINT64_MAX,
                                      .near_miss = UINT64_MAX,
                                      .neighbour = UINT64_MAX,
                                      .document = UINT64_MAX};
    const struct cuts *cuts = &thresholds->cuts[slot];
    return (struct evidence_cuts){.top_bits = (uint32_t)cuts->top_value << 16,
                                  .first_bin = cuts->first_bin,
                                  .n_bins = cuts->n_bins,
                                  .bin_limit = thresholds->bin_limit + cuts->first,
                                  .has_samples = thresholds->identity.limits.bin_k > 0,
                                  .silent = key_code16_end(cuts->silent),
                                  .near_miss = key_code16_end(cuts->near_miss),
                                  .neighbour = key_code16_end(cuts->neighbour),
                                  .document = key_code16_end(cuts->document)};
}

bool evidence_thresholds_keep_firing(const struct evidence_thresholds *thresholds, uint32_t slot,
                                     float max_value, uint64_t key)
{
    const struct evidence_cuts cuts = evidence_thresholds_cuts(thresholds, slot);
    return evidence_cuts_keep(&cuts, max_value, evidence_reservoir_bin(max_value), key);
}

uint64_t evidence_thresholds_silent(const struct evidence_thresholds *thresholds, uint32_t slot)
{
    return key_code16_end(thresholds->cuts[slot].silent);
}

uint64_t evidence_thresholds_near_miss(const struct evidence_thresholds *thresholds, uint32_t slot)
{
    return key_code16_end(thresholds->cuts[slot].near_miss);
}

uint64_t evidence_thresholds_neighbour(const struct evidence_thresholds *thresholds, uint32_t slot)
{
    return key_code16_end(thresholds->cuts[slot].neighbour);
}

uint64_t evidence_thresholds_document(const struct evidence_thresholds *thresholds, uint32_t slot)
{
    return key_code16_end(thresholds->cuts[slot].document);
}

/* Bytes: header, the fixed cuts column by column (like beside like packs best), bin limits. */
enum { CUTS_BYTES = 5 * 2 + 2 };

status_t evidence_thresholds_encode(const struct evidence_thresholds *thresholds,
                                    struct buffer *out, struct error *err)
{
    const uint32_t n_slots = thresholds->identity.n_slots;
    const struct cuts *cuts = thresholds->cuts;
    void *room;
    const size_t max_bytes =
        EVIDENCE_HEADER_MAX_BYTES + (size_t)n_slots * CUTS_BYTES + thresholds->n_bin_limits;
    const status_t status = buffer_reserve(out, max_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_header(room, EVIDENCE_THRESHOLDS, &thresholds->identity);
    for (uint32_t i = 0; i < n_slots; i++) at = evidence_put_u16(at, cuts[i].top_value);
    for (uint32_t i = 0; i < n_slots; i++) at = evidence_put_u16(at, cuts[i].silent);
    for (uint32_t i = 0; i < n_slots; i++) at = evidence_put_u16(at, cuts[i].near_miss);
    for (uint32_t i = 0; i < n_slots; i++) at = evidence_put_u16(at, cuts[i].neighbour);
    for (uint32_t i = 0; i < n_slots; i++) at = evidence_put_u16(at, cuts[i].document);
    for (uint32_t i = 0; i < n_slots; i++) *at++ = cuts[i].first_bin;
    for (uint32_t i = 0; i < n_slots; i++) *at++ = cuts[i].n_bins;
    memcpy(at, thresholds->bin_limit, thresholds->n_bin_limits);
    at += thresholds->n_bin_limits;
    out->n_bytes += (size_t)(at - (unsigned char *)room);
    return ST_OK;
}

static status_t read_cuts(struct evidence_cursor *cursor, struct evidence_thresholds *thresholds,
                          struct error *err)
{
    const uint32_t n_slots = thresholds->identity.n_slots;
    struct cuts *cuts = thresholds->cuts;
    for (uint32_t i = 0; i < n_slots; i++) cuts[i].top_value = evidence_get_u16(cursor);
    for (uint32_t i = 0; i < n_slots; i++) cuts[i].silent = evidence_get_u16(cursor);
    for (uint32_t i = 0; i < n_slots; i++) cuts[i].near_miss = evidence_get_u16(cursor);
    for (uint32_t i = 0; i < n_slots; i++) cuts[i].neighbour = evidence_get_u16(cursor);
    for (uint32_t i = 0; i < n_slots; i++) cuts[i].document = evidence_get_u16(cursor);
    for (uint32_t i = 0; i < n_slots; i++) cuts[i].first_bin = evidence_get_u8(cursor);
    for (uint32_t i = 0; i < n_slots; i++) {
        cuts[i].n_bins = evidence_get_u8(cursor);
        if (cuts[i].first_bin + cuts[i].n_bins > EVIDENCE_RESERVOIR_BINS) evidence_fail(cursor);
        cuts[i].first = (uint32_t)thresholds->n_bin_limits;
        thresholds->n_bin_limits += cuts[i].n_bins;
    }
    if (cursor->is_bad || evidence_left(cursor) != thresholds->n_bin_limits)
        return error_set(err, ST_CORRUPT, "thresholds of %u slots do not fit their bytes", n_slots);
    memcpy(thresholds->bin_limit, cursor->at, thresholds->n_bin_limits);
    return ST_OK;
}

status_t evidence_thresholds_decode(const void *bytes, size_t n_bytes,
                                    struct evidence_thresholds **out, struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    struct evidence_identity identity;
    struct evidence_thresholds *thresholds;
    status_t status = evidence_get_header(&cursor, EVIDENCE_THRESHOLDS, &identity, err);
    if (status != ST_OK) return status;
    if (evidence_left(&cursor) < (size_t)identity.n_slots * CUTS_BYTES)
        return error_set(err, ST_CORRUPT, "thresholds of %u slots in %zu bytes", identity.n_slots,
                         n_bytes);
    status = allocate(&thresholds, &identity, evidence_left(&cursor), err);
    if (status != ST_OK) return status;
    status = read_cuts(&cursor, thresholds, err);
    if (status == ST_OK)
        *out = thresholds;
    else
        evidence_thresholds_destroy(&thresholds);
    return status;
}
