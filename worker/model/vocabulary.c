#include "worker/model/vocabulary.h"

#include "common/hash.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1024 };

uint64_t vocabulary_hash(const char *bytes, size_t n_bytes)
{
    uint64_t hash = n_bytes;
    uint64_t word;
    for (; n_bytes >= sizeof word; bytes += sizeof word, n_bytes -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, bytes, n_bytes);
    return hash_mix64(hash ^ word);
}

void vocabulary_init(struct vocabulary *vocabulary)
{
    *vocabulary = (struct vocabulary){0};
    buffer_init(&vocabulary->text, VOCABULARY_MAX_TEXT_BYTES);
}

void vocabulary_fini(struct vocabulary *vocabulary)
{
    buffer_fini(&vocabulary->text);
    free(vocabulary->entries);
    free(vocabulary->slots);
    vocabulary_init(vocabulary);
}

bool vocabulary_text(const struct vocabulary *vocabulary, uint32_t id, const char **bytes,
                     size_t *n_bytes)
{
    if (id >= vocabulary->n_ids || vocabulary->entries[id].n_bytes == TOKEN_NONE) return false;
    *bytes = (const char *)vocabulary->text.bytes + vocabulary->entries[id].offset;
    *n_bytes = vocabulary->entries[id].n_bytes;
    return true;
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t probe(const struct vocabulary *vocabulary, const char *bytes, size_t n_bytes)
{
    size_t slot = vocabulary_hash(bytes, n_bytes) & vocabulary->slot_mask;
    for (;; slot = (slot + 1) & vocabulary->slot_mask) {
        const char *held;
        size_t n_held;
        if (!vocabulary_text(vocabulary, vocabulary->slots[slot], &held, &n_held)) return slot;
        if (n_held == n_bytes && memcmp(held, bytes, n_bytes) == 0) return slot;
    }
}

uint32_t vocabulary_find(const struct vocabulary *vocabulary, const char *bytes, size_t n_bytes)
{
    if (vocabulary->n_tokens == 0) return TOKEN_NONE;
    return vocabulary->slots[probe(vocabulary, bytes, n_bytes)];
}

/* At most half of the slots are in use, so that probes stay short and always end. */
static status_t grow_slots(struct vocabulary *vocabulary, struct error *err)
{
    const size_t n_slots = vocabulary->slots ? vocabulary->slot_mask + 1 : 0;
    if (2 * (vocabulary->n_tokens + 1) <= n_slots) return ST_OK;
    const size_t n_grown = n_slots ? 2 * n_slots : FIRST_SLOTS;
    uint32_t *grown = malloc(n_grown * sizeof *grown);
    if (!grown) return error_set(err, ST_NO_MEMORY, "vocabulary of %zu", vocabulary->n_tokens);
    memset(grown, 0xff, n_grown * sizeof *grown); /* TOKEN_NONE */
    free(vocabulary->slots);
    vocabulary->slots = grown;
    vocabulary->slot_mask = n_grown - 1;
    for (uint32_t id = 0; id < vocabulary->n_ids; id++) {
        const char *bytes;
        size_t n_bytes;
        if (vocabulary_text(vocabulary, id, &bytes, &n_bytes))
            grown[probe(vocabulary, bytes, n_bytes)] = id;
    }
    return ST_OK;
}

static status_t grow_entries(struct vocabulary *vocabulary, uint32_t id, struct error *err)
{
    size_t capacity = vocabulary->capacity ? vocabulary->capacity : FIRST_SLOTS;
    if (id >= VOCABULARY_MAX_IDS)
        return error_set(err, ST_TOO_LARGE, "token id %u, at most %d are read", id,
                         VOCABULARY_MAX_IDS - 1);
    while (capacity <= id) capacity *= 2;
    if (capacity > vocabulary->capacity) {
        struct vocabulary_entry *grown =
            realloc(vocabulary->entries, capacity * sizeof *vocabulary->entries);
        if (!grown) return error_set(err, ST_NO_MEMORY, "vocabulary of %zu ids", capacity);
        vocabulary->entries = grown;
        vocabulary->capacity = capacity;
    }
    for (; vocabulary->n_ids <= id; vocabulary->n_ids++)
        vocabulary->entries[vocabulary->n_ids] = (struct vocabulary_entry){0, TOKEN_NONE};
    return ST_OK;
}

status_t vocabulary_add(struct vocabulary *vocabulary, const char *bytes, size_t n_bytes,
                        uint32_t id, struct error *err)
{
    const char *held;
    size_t n_held;
    if (n_bytes > VOCABULARY_MAX_TOKEN_BYTES)
        return error_set(err, ST_TOO_LARGE, "token %u of %zu bytes, at most %d are read", id,
                         n_bytes, VOCABULARY_MAX_TOKEN_BYTES);
    if (vocabulary_text(vocabulary, id, &held, &n_held))
        return error_set(err, ST_CORRUPT, "tokens '%.*s' and '%.*s' share the id %u",
                         (int)(n_held > 64 ? 64 : n_held), held, (int)(n_bytes > 64 ? 64 : n_bytes),
                         bytes, id);
    status_t status = grow_slots(vocabulary, err);
    if (status != ST_OK) return status;
    const size_t slot = probe(vocabulary, bytes, n_bytes);
    if (vocabulary->slots[slot] != TOKEN_NONE)
        return error_set(err, ST_CORRUPT, "token '%.*s' has the ids %u and %u",
                         (int)(n_bytes > 64 ? 64 : n_bytes), bytes, vocabulary->slots[slot], id);
    status = grow_entries(vocabulary, id, err);
    if (status != ST_OK) return status;
    const size_t offset = vocabulary->text.n_bytes;
    status = buffer_append(&vocabulary->text, bytes, n_bytes, err);
    if (status != ST_OK) return status;
    vocabulary->entries[id] = (struct vocabulary_entry){(uint32_t)offset, (uint32_t)n_bytes};
    vocabulary->slots[slot] = id;
    vocabulary->n_tokens++;
    return ST_OK;
}
