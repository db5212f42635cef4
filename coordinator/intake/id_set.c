#include "coordinator/intake/id_set.h"

#include "common/hash.h"

#include <stdlib.h>

/* The slot of `id`, or the free slot where it belongs. 0 marks a free slot, so id 0 is kept as
 * another fixed number. */
static uint64_t *slot_of(const struct id_set *set, uint64_t id)
{
    size_t at = (size_t)hash_mix64(id) & (set->n_slots - 1);
    while (set->slots[at] && set->slots[at] != id) at = (at + 1) & (set->n_slots - 1);
    return &set->slots[at];
}

static status_t grow(struct id_set *set, struct error *err)
{
    struct id_set bigger = {.n_slots = set->n_slots ? 2 * set->n_slots : 1024};
    bigger.slots = calloc(bigger.n_slots, sizeof *bigger.slots);
    if (!bigger.slots) return error_set(err, ST_NO_MEMORY, "%zu document ids", bigger.n_slots);
    for (size_t i = 0; i < set->n_slots; i++)
        if (set->slots[i]) *slot_of(&bigger, set->slots[i]) = set->slots[i];
    bigger.n_ids = set->n_ids;
    free(set->slots);
    *set = bigger;
    return ST_OK;
}

status_t id_set_add(struct id_set *set, uint64_t id, bool *is_new, struct error *err)
{
    uint64_t *slot;
    if (id == 0) id = UINT64_C(0x9d4f1c7a3b2e5861);
    if (2 * (set->n_ids + 1) > set->n_slots) {
        const status_t status = grow(set, err);
        if (status != ST_OK) return status;
    }
    slot = slot_of(set, id);
    *is_new = *slot == 0;
    if (*is_new) set->n_ids++;
    *slot = id;
    return ST_OK;
}

void id_set_fini(struct id_set *set)
{
    free(set->slots);
    *set = (struct id_set){0};
}
