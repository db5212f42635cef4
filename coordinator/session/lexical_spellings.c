#include "coordinator/session/lexical_spellings.h"

#include "common/hash.h"
#include "common/size.h"
#include "coordinator/session/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1024 };

void lexical_spellings_fini(struct lexical_spellings *all)
{
    free(all->arena);
    free(all->spellings);
    free(all->slots);
    *all = (struct lexical_spellings){.arena = NULL};
}

const char *lexical_spellings_text(const struct lexical_spellings *all, uint32_t id,
                                   size_t *n_bytes)
{
    *n_bytes = 0;
    if (id >= all->n_spellings) return "";
    *n_bytes = all->spellings[id].n_bytes;
    return all->arena + all->spellings[id].begin;
}

/* Room for `needed` items: the array, moved if it had to grow. NULL: no memory, array as it was. */
static void *grow(void *array, size_t *capacity, size_t needed, size_t item_size, struct error *err)
{
    size_t larger = *capacity ? *capacity : FIRST_SLOTS, n_bytes;
    if (array && needed <= *capacity) return array;
    while (larger < needed && size_mul(larger, 2, &larger)) continue;
    void *grown = NULL;
    if (larger >= needed && size_mul(larger, item_size, &n_bytes)) grown = realloc(array, n_bytes);
    if (grown)
        *capacity = larger;
    else
        (void)error_set(err, ST_NO_MEMORY, "spellings: %zu items of %zu bytes", needed, item_size);
    return grown;
}

static uint64_t hash_text(const char *text, size_t n_bytes)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, then mixed */
    for (size_t i = 0; i < n_bytes; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash_mix64(hash);
}

static uint32_t *find_slot(const struct lexical_spellings *all, const char *text, size_t n_bytes)
{
    size_t at = hash_text(text, n_bytes) & (all->n_slots - 1);
    for (;; at = (at + 1) & (all->n_slots - 1)) {
        uint32_t *slot = &all->slots[at];
        if (*slot == 0) return slot;
        const struct lexical_spelling *known = &all->spellings[*slot - 1];
        if (known->n_bytes == n_bytes && memcmp(all->arena + known->begin, text, n_bytes) == 0)
            return slot;
    }
}

static status_t rehash(struct lexical_spellings *all, struct error *err)
{
    const size_t n_slots = all->n_slots ? all->n_slots * 2 : FIRST_SLOTS;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return error_set(err, ST_NO_MEMORY, "spellings: %zu slots", n_slots);
    free(all->slots);
    all->slots = slots;
    all->n_slots = n_slots;
    for (size_t id = 0; id < all->n_spellings; id++) {
        const struct lexical_spelling *known = &all->spellings[id];
        *find_slot(all, all->arena + known->begin, known->n_bytes) = (uint32_t)id + 1;
    }
    return ST_OK;
}

static status_t append_spelling(struct lexical_spellings *all, const char *text, size_t n_bytes,
                                struct error *err)
{
    if (all->n_spellings >= UINT32_MAX - 1)
        return error_set(err, ST_TOO_LARGE, "spellings: more than 2^32");
    char *arena = grow(all->arena, &all->arena_capacity, all->n_arena + n_bytes, 1, err);
    if (!arena) return ST_NO_MEMORY;
    all->arena = arena;
    struct lexical_spelling *spellings =
        grow(all->spellings, &all->spelling_capacity, all->n_spellings + 1, sizeof *spellings, err);
    if (!spellings) return ST_NO_MEMORY;
    all->spellings = spellings;
    memcpy(arena + all->n_arena, text, n_bytes);
    spellings[all->n_spellings++] = (struct lexical_spelling){all->n_arena, (uint32_t)n_bytes};
    all->n_arena += n_bytes;
    return ST_OK;
}

status_t lexical_spellings_add(struct lexical_spellings *all, const uint32_t *letters,
                               size_t n_letters, uint32_t *id, struct error *err)
{
    if (n_letters > LEXICAL_MAX_CHARACTERS)
        return error_set(err, ST_TOO_LARGE, "spellings: %zu characters", n_letters);
    char text[4 * LEXICAL_MAX_CHARACTERS];
    size_t n_bytes = 0;
    for (size_t i = 0; i < n_letters; i++) n_bytes += utf8_encode(letters[i], text + n_bytes);
    status_t status = ST_OK;
    if (all->n_spellings * 2 >= all->n_slots) status = rehash(all, err);
    if (status != ST_OK) return status;
    uint32_t *slot = find_slot(all, text, n_bytes);
    if (*slot == 0) {
        status = append_spelling(all, text, n_bytes, err);
        if (status != ST_OK) return status;
        *slot = (uint32_t)all->n_spellings;
    }
    *id = *slot - 1;
    return ST_OK;
}
