#include "coordinator/sweep/label_outputs.h"

#include "common/evidence_bytes.h"
#include "coordinator/sweep/label_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

status_t label_outputs_init(struct label_outputs *out, const struct label_target *target,
                            struct error *err)
{
    const uint32_t n_signs = target->is_signed ? 2 : 1;
    *out = (struct label_outputs){.n_slots = target->chosen.n * n_signs};
    out->slots = malloc((out->n_slots + 1) * sizeof *out->slots);
    if (!out->slots) return error_set(err, ST_NO_MEMORY, "%zu slots", out->n_slots);
    for (size_t i = 0, at = 0; i < target->chosen.n; i++) {
        while (target->captured.features[at] < target->chosen.features[i]) at++; /* both ascend */
        for (uint32_t sign = 0; sign < n_signs; sign++)
            out->slots[i * n_signs + sign] = (uint32_t)at * n_signs + sign;
    }
    return ST_OK;
}

void label_outputs_fini(struct label_outputs *outputs)
{
    free(outputs->slots);
    free(outputs->entries);
    *outputs = (struct label_outputs){.n_slots = 0};
}

static status_t have_room(struct label_outputs *outputs, uint32_t n_top, struct error *err)
{
    if (outputs->entries) return ST_OK;
    outputs->entries = calloc(outputs->n_slots * 2 * n_top + 1, sizeof *outputs->entries);
    outputs->n_top = n_top;
    return outputs->entries ? ST_OK
                            : error_set(err, ST_NO_MEMORY, "logits of %zu slots", outputs->n_slots);
}

status_t label_outputs_put(struct label_outputs *outputs, size_t first, size_t n,
                           const struct logits_answer *answer, uint64_t n_vocab, struct error *err)
{
    const size_t n_each = 2 * (size_t)answer->n_top;
    if (answer->reason[0]) {
        memcpy(outputs->reason, answer->reason, sizeof outputs->reason);
        return ST_OK;
    }
    if (answer->n_slots != n || first + n > outputs->n_slots ||
        (outputs->entries && outputs->n_top != answer->n_top))
        return error_set(err, ST_CORRUPT, "logits of %u slots, %zu were asked for",
                         (unsigned)answer->n_slots, n);
    for (size_t i = 0; i < n * n_each; i++)
        if (answer->entries[i].token >= n_vocab)
            return error_set(err, ST_CORRUPT, "logits of token %u, the model has %llu",
                             (unsigned)answer->entries[i].token, (unsigned long long)n_vocab);
    const status_t status = have_room(outputs, answer->n_top, err);
    if (status == ST_OK && n * n_each > 0)
        memcpy(outputs->entries + first * n_each, answer->entries,
               n * n_each * sizeof *outputs->entries);
    return status;
}

enum { WORD = 4, HEADER = 3 * WORD, ENTRY = 2 * WORD };

static size_t n_entries_of(const struct label_outputs *outputs)
{
    return outputs->entries ? outputs->n_slots * 2 * outputs->n_top : 0;
}

status_t label_outputs_encode(const struct label_outputs *outputs, struct buffer *out,
                              struct error *err)
{
    void *room;
    const size_t n = n_entries_of(outputs), n_reason = strlen(outputs->reason);
    const size_t n_bytes = HEADER + n_reason + n * ENTRY;
    const status_t status = buffer_reserve(out, n_bytes, &room, err);
    if (status != ST_OK) return status;
    unsigned char *at = evidence_put_u32(room, (uint32_t)outputs->n_slots);
    at = evidence_put_u32(at, n ? outputs->n_top : 0);
    at = evidence_put_u32(at, (uint32_t)n_reason);
    memcpy(at, outputs->reason, n_reason);
    at += n_reason;
    for (size_t i = 0; i < n; i++) {
        at = evidence_put_u32(at, outputs->entries[i].token);
        at = evidence_put_f32(at, outputs->entries[i].value);
    }
    out->n_bytes += n_bytes;
    return ST_OK;
}

static bool read_entries(struct evidence_cursor *cursor, struct label_outputs *out,
                         uint64_t n_vocab)
{
    for (size_t i = 0; i < out->n_slots * 2 * out->n_top; i++) {
        struct logits_entry *entry = &out->entries[i];
        entry->token = evidence_get_u32(cursor);
        entry->value = evidence_get_f32(cursor);
        if (entry->token >= n_vocab || !isfinite(entry->value)) return false;
    }
    return !cursor->is_bad;
}

status_t label_outputs_decode(struct label_outputs *outputs, const void *bytes, size_t n_bytes,
                              uint64_t n_vocab, struct error *err)
{
    struct evidence_cursor cursor = {bytes, (const unsigned char *)bytes + n_bytes, false};
    const uint32_t n_slots = evidence_get_u32(&cursor), n_top = evidence_get_u32(&cursor);
    const uint32_t n_reason = evidence_get_u32(&cursor);
    if (cursor.is_bad || n_slots != outputs->n_slots || n_top > LOGITS_MAX_TOP ||
        n_reason >= LOGITS_REASON_SIZE ||
        evidence_left(&cursor) != n_reason + outputs->n_slots * 2 * n_top * ENTRY)
        return error_set(err, ST_CORRUPT, "kept logits of %zu bytes", n_bytes);
    const unsigned char *reason = cursor.at;
    cursor.at += n_reason;
    const status_t status = n_top ? have_room(outputs, n_top, err) : ST_OK;
    if (status != ST_OK) return status;
    if (n_top && !read_entries(&cursor, outputs, n_vocab)) {
        free(outputs->entries);
        outputs->entries = NULL;
        return error_set(err, ST_CORRUPT, "kept logits make no sense");
    }
    memcpy(outputs->reason, reason, n_reason);
    outputs->reason[n_reason] = '\0';
    return ST_OK;
}

static int compare_slots(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

const struct logits_entry *label_outputs_find(const struct label_outputs *outputs, uint32_t slot)
{
    if (!outputs->entries) return NULL;
    const uint32_t *found =
        bsearch(&slot, outputs->slots, outputs->n_slots, sizeof slot, compare_slots);
    return found ? outputs->entries + (size_t)(found - outputs->slots) * 2 * outputs->n_top : NULL;
}
