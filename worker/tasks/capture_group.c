#include "worker/tasks/capture_accumulator_parts.h"

#include <string.h>

static void count_window(struct capture_accumulator *accumulator, uint32_t window, size_t *counts)
{
    const struct capture_window *item = &accumulator->windows.item[window];
    const size_t first = accumulator->token_start[item->first_token];
    const size_t end = accumulator->token_start[item->first_token + item->window.n_tokens];
    for (size_t i = first; i < end; i++) counts[accumulator->slot[i]]++;
}

static void place_window(struct capture_accumulator *accumulator, uint32_t window, size_t *next)
{
    const struct capture_window *item = &accumulator->windows.item[window];
    for (uint32_t position = 0; position < item->window.n_tokens; position++) {
        const size_t token = item->first_token + position;
        for (size_t i = accumulator->token_start[token]; i < accumulator->token_start[token + 1];
             i++)
            accumulator->grouped[next[accumulator->slot[i]]++] =
                (struct capture_activation){window, position, accumulator->value[i]};
    }
}

/* A counting sort, stable: windows in their order, positions ascending. slot_start is used
 * shifted by one while placing, so that it ends as the starts. */
status_t capture_group_by_slot(struct capture_accumulator *accumulator, struct error *err)
{
    const size_t n_slots = accumulator->identity.n_slots;
    size_t *start = accumulator->slot_start;
    const size_t n_tokens = (size_t)accumulator->unit->n_rows * accumulator->unit->row_tokens;
    if (accumulator->n_added_tokens != n_tokens)
        return error_set(err, ST_BAD_INPUT,
                         "capture unit %llu has %zu tokens, activations came for %zu",
                         (unsigned long long)accumulator->unit->unit_number, n_tokens,
                         accumulator->n_added_tokens);
    memset(start, 0, (n_slots + 2) * sizeof *start);
    for (uint32_t i = 0; i < accumulator->windows.n; i++) count_window(accumulator, i, start + 2);
    for (size_t slot = 2; slot < n_slots + 2; slot++) start[slot] += start[slot - 1];
    for (uint32_t i = 0; i < accumulator->windows.n; i++) place_window(accumulator, i, start + 1);
    return ST_OK;
}
