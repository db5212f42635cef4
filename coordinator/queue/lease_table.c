#include "coordinator/queue/lease_table.h"

#include <stdlib.h>

enum { SLOT_BITS = 16, SERIAL_BITS = 24 };

struct lease_table {
    uint64_t epoch;
    uint64_t serial;
    size_t n_used; /* slots handed out at least once */
    size_t n_leases;
    size_t n_free;
    uint16_t free_slots[LEASE_TABLE_MAX];
    struct lease slots[LEASE_TABLE_MAX];
};

status_t lease_table_create(struct lease_table **out, uint64_t epoch, struct error *err)
{
    struct lease_table *table = calloc(1, sizeof *table); /* pages come as they are touched */
    if (!table) return error_set(err, ST_NO_MEMORY, "lease table");
    table->epoch = epoch;
    *out = table;
    return ST_OK;
}

void lease_table_destroy(struct lease_table **table)
{
    free(*table);
    *table = NULL;
}

static size_t slot_of(uint64_t id)
{
    return (size_t)(id & ((1u << SLOT_BITS) - 1));
}

static void give_back(struct lease_table *table, size_t slot)
{
    if (table->n_free < LEASE_TABLE_MAX) table->free_slots[table->n_free++] = (uint16_t)slot;
}

status_t lease_table_grant(struct lease_table *table, const struct lease *wanted,
                           struct lease **out, struct error *err)
{
    size_t slot;
    do { /* an adopted lease may sit on a slot of the free list */
        if (table->n_free)
            slot = table->free_slots[--table->n_free];
        else if (table->n_used < LEASE_TABLE_MAX)
            slot = table->n_used++;
        else
            return error_set(err, ST_BUSY, "%d leases are out", LEASE_TABLE_MAX);
    } while (table->slots[slot].task);
    struct lease *lease = &table->slots[slot];
    *lease = *wanted;
    const uint64_t serial = ++table->serial & ((1u << SERIAL_BITS) - 1);
    lease->id = table->epoch << (SERIAL_BITS + SLOT_BITS) | serial << SLOT_BITS | slot;
    table->n_leases++;
    *out = lease;
    return ST_OK;
}

struct lease *lease_table_adopt(struct lease_table *table, const struct lease *lease)
{
    struct lease *slot = &table->slots[slot_of(lease->id)];
    if (slot->task) return NULL;
    while (table->n_used <= slot_of(lease->id)) give_back(table, table->n_used++);
    *slot = *lease;
    table->n_leases++;
    return slot;
}

struct lease *lease_table_find(struct lease_table *table, uint64_t id)
{
    struct lease *lease = &table->slots[slot_of(id)];
    return lease->task && lease->id == id ? lease : NULL;
}

void lease_table_end(struct lease_table *table, struct lease *lease)
{
    const size_t slot = (size_t)(lease - table->slots);
    *lease = (struct lease){0};
    table->n_leases--;
    give_back(table, slot);
}

struct lease *lease_table_next(struct lease_table *table, const struct lease *after)
{
    if (table->n_leases == 0) return NULL;
    for (size_t i = after ? (size_t)(after - table->slots) + 1 : 0; i < table->n_used; i++)
        if (table->slots[i].task) return &table->slots[i];
    return NULL;
}

size_t lease_table_count(const struct lease_table *table)
{
    return table->n_leases;
}
