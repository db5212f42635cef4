#include "coordinator/queue/unit_table.h"

#include <stdlib.h>

struct unit_record {
    uint8_t state;     /* enum unit_state */
    uint8_t failures;  /* low nibble: errors, high nibble: worker deaths; both saturate */
    uint8_t is_stored; /* its result waits to be read */
};

struct unit_table {
    size_t n_units;
    size_t counts[UNIT_N_STATES];
    size_t first_ready; /* no unit below is ready */
    struct unit_record units[];
};

status_t unit_table_create(struct unit_table **out, size_t n_units, struct error *err)
{
    if (n_units > UNIT_TABLE_MAX_UNITS)
        return error_set(err, ST_TOO_LARGE, "%zu units in one task, at most %d", n_units,
                         UNIT_TABLE_MAX_UNITS);
    struct unit_table *table = calloc(1, sizeof *table + n_units * sizeof table->units[0]);
    if (!table) return error_set(err, ST_NO_MEMORY, "table of %zu units", n_units);
    table->n_units = n_units;
    table->counts[UNIT_READY] = n_units;
    *out = table;
    return ST_OK;
}

void unit_table_destroy(struct unit_table **table)
{
    free(*table);
    *table = NULL;
}

size_t unit_table_n_units(const struct unit_table *table)
{
    return table->n_units;
}

size_t unit_table_count(const struct unit_table *table, enum unit_state state)
{
    return table->counts[state];
}

enum unit_state unit_table_state(const struct unit_table *table, size_t unit)
{
    return (enum unit_state)table->units[unit].state;
}

bool unit_table_is_complete(const struct unit_table *table)
{
    return table->counts[UNIT_DONE] == table->n_units;
}

bool unit_table_is_settled(const struct unit_table *table)
{
    return table->counts[UNIT_READY] == 0 && table->counts[UNIT_LEASED] == 0;
}

static bool move(struct unit_table *table, size_t unit, enum unit_event event)
{
    uint8_t *state = &table->units[unit].state;
    const uint8_t before = *state;
    if (!unit_transition(state, event)) return false;
    table->counts[before]--;
    table->counts[*state]++;
    if (*state == UNIT_READY && unit < table->first_ready) table->first_ready = unit;
    return true;
}

static unsigned n_errors(const struct unit_record *record)
{
    return record->failures & 15u;
}

static unsigned n_deaths(const struct unit_record *record)
{
    return (unsigned)record->failures >> 4;
}

static size_t find_ready(struct unit_table *table)
{
    size_t first = table->first_ready;
    while (first < table->n_units && table->units[first].state != UNIT_READY) first++;
    return table->first_ready = first;
}

bool unit_table_take(struct unit_table *table, size_t max_units, size_t *low, size_t *high)
{
    const size_t first = find_ready(table);
    if (first == table->n_units || max_units == 0) return false;
    size_t end = first;
    while (end < table->n_units && end - first < max_units &&
           table->units[end].state == UNIT_READY) {
        const bool is_suspect = n_deaths(&table->units[end]) > 0;
        if (is_suspect && end > first) break;
        (void)move(table, end++, UNIT_LEASE);
        if (is_suspect) break;
    }
    table->first_ready = end;
    *low = first;
    *high = end;
    return true;
}

bool unit_table_claim(struct unit_table *table, size_t unit)
{
    return table->units[unit].state == UNIT_READY && move(table, unit, UNIT_LEASE);
}

bool unit_table_note_stored(struct unit_table *table, size_t unit)
{
    struct unit_record *record = &table->units[unit];
    if (record->is_stored || record->state == UNIT_DONE || record->state == UNIT_CANCELLED)
        return false;
    (void)unit_table_claim(table, unit);
    record->is_stored = 1;
    return true;
}

bool unit_table_settle(struct unit_table *table, size_t unit)
{
    table->units[unit].is_stored = 0;
    return move(table, unit, UNIT_SETTLE);
}

void unit_table_return(struct unit_table *table, size_t unit)
{
    const struct unit_record *record = &table->units[unit];
    if (record->state == UNIT_LEASED && !record->is_stored) (void)move(table, unit, UNIT_RETURN);
}

void unit_table_unstore(struct unit_table *table, size_t unit)
{
    table->units[unit].is_stored = 0;
    unit_table_return(table, unit);
}

enum unit_state unit_table_fail(struct unit_table *table, size_t unit, enum unit_blame blame,
                                const struct unit_limits *limits)
{
    struct unit_record *record = &table->units[unit];
    record->is_stored = 0;
    if (blame == UNIT_BLAME_ERROR && n_errors(record) < 15) record->failures++;
    if (blame == UNIT_BLAME_DEATH && n_deaths(record) < 15)
        record->failures = (uint8_t)(record->failures + 16);
    if (n_errors(record) >= limits->max_attempts || n_deaths(record) >= limits->max_kills)
        (void)move(table, unit, UNIT_EXHAUST);
    else
        unit_table_return(table, unit);
    return (enum unit_state)record->state;
}

size_t unit_table_retry_dead(struct unit_table *table)
{
    size_t n_retried = 0;
    for (size_t unit = 0; unit < table->n_units; unit++)
        if (table->units[unit].state == UNIT_DEAD && move(table, unit, UNIT_RETRY)) {
            table->units[unit].failures = 0;
            if (table->units[unit].is_stored) (void)move(table, unit, UNIT_LEASE);
            n_retried++;
        }
    return n_retried;
}

void unit_table_cancel(struct unit_table *table)
{
    for (size_t unit = 0; unit < table->n_units; unit++) (void)move(table, unit, UNIT_CANCEL);
}
