#include "coordinator/queue/unit_set.h"

#include <stdlib.h>
#include <string.h>

static size_t n_bytes_of(size_t n_units)
{
    return n_units / 8 + (n_units % 8 != 0);
}

status_t unit_set_init(struct unit_set *set, size_t n_units, struct error *err)
{
    unsigned char *bits = calloc(n_bytes_of(n_units) + 1, 1);
    if (!bits) return error_set(err, ST_NO_MEMORY, "set of %zu units", n_units);
    *set = (struct unit_set){.bits = bits, .n_units = n_units};
    return ST_OK;
}

void unit_set_fini(struct unit_set *set)
{
    free(set->bits);
    *set = (struct unit_set){0};
}

void unit_set_clear(struct unit_set *set)
{
    if (set->bits) memset(set->bits, 0, n_bytes_of(set->n_units));
    set->n_members = 0;
}

bool unit_set_has(const struct unit_set *set, size_t unit)
{
    return set->bits[unit / 8] >> (unit % 8) & 1;
}

void unit_set_add(struct unit_set *set, size_t unit)
{
    set->n_members += !unit_set_has(set, unit);
    set->bits[unit / 8] = (unsigned char)(set->bits[unit / 8] | 1u << (unit % 8));
}

size_t unit_set_next(const struct unit_set *set, size_t from)
{
    while (from < set->n_units && !unit_set_has(set, from))
        from += set->bits[from / 8] == 0 ? 8 - from % 8 : 1;
    return from < set->n_units ? from : set->n_units;
}

status_t unit_set_encode(const struct unit_set *set, struct buffer *out, struct error *err)
{
    return buffer_append(out, set->bits, n_bytes_of(set->n_units), err);
}

static size_t count_bits(const unsigned char *bits, size_t n_bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) n += (size_t)__builtin_popcount(bits[i]);
    return n;
}

status_t unit_set_decode(struct unit_set *set, const void *bytes, size_t n_bytes, struct error *err)
{
    const unsigned char *from = bytes;
    const unsigned n_used = set->n_units % 8;
    if (n_bytes != n_bytes_of(set->n_units) || (n_used && from[n_bytes - 1] >> n_used))
        return error_set(err, ST_CORRUPT, "%zu bytes are no set of %zu units", n_bytes,
                         set->n_units);
    memcpy(set->bits, from, n_bytes);
    set->n_members = count_bits(from, n_bytes);
    return ST_OK;
}
