#include "worker/prompts/distinct_draw.h"

#include <stdbool.h>
#include <stdlib.h>

uint64_t distinct_draw_below(struct draw *draw, uint64_t n)
{
    const uint64_t reject_below = (uint64_t)-n % n; /* 2^64 mod n */
    for (;;) {
        const uint64_t value = draw_next(draw);
        if (value >= reject_below) return value % n;
    }
}

/* A good part of all numbers: the first n of all of them, shuffled. */
static status_t draw_of_few(struct draw *draw, size_t n_possible, size_t n, uint64_t *out,
                            struct error *err)
{
    uint32_t *all = calloc(n_possible + 1, sizeof *all);
    if (!all) return error_set(err, ST_NO_MEMORY, "draw of %zu", n_possible);
    for (size_t i = 0; i < n_possible; i++) all[i] = (uint32_t)i;
    draw_shuffle(draw, all, n_possible);
    for (size_t i = 0; i < n; i++) out[i] = all[i];
    free(all);
    return ST_OK;
}

/* Open addressing; 0 is a free slot, so numbers are kept plus one (the largest is below 2^64-1). */
static bool is_new(uint64_t *slots, size_t mask, uint64_t value)
{
    size_t at = (size_t)hash_mix64(value) & mask;
    for (; slots[at]; at = (at + 1) & mask)
        if (slots[at] == value + 1) return false;
    slots[at] = value + 1;
    return true;
}

status_t distinct_draw(struct draw *draw, uint64_t n_possible, size_t n, uint64_t *out,
                       struct error *err)
{
    size_t n_slots = 16;
    if (n_possible <= 2 * (uint64_t)n) return draw_of_few(draw, (size_t)n_possible, n, out, err);
    while (n_slots < 2 * n) n_slots *= 2;
    uint64_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots) return error_set(err, ST_NO_MEMORY, "draw of %zu", n);
    for (size_t i = 0; i < n;) {
        out[i] = distinct_draw_below(draw, n_possible);
        if (is_new(slots, n_slots - 1, out[i])) i++;
    }
    free(slots);
    return ST_OK;
}
