#include "worker/tasks/capture_accumulator_parts.h"

static void place_window(struct capture_accumulator *accumulator, uint32_t window)
{
    const struct capture_window *item = &accumulator->windows.item[window];
    const uint32_t *slot = accumulator->slot;
    const float *value = accumulator->value;
    uint32_t *next = accumulator->slot_end;
    for (uint32_t position = 0; position < item->window.n_tokens; position++) {
        const size_t *token_start = accumulator->token_start + item->first_token + position;
        for (size_t i = token_start[0]; i < token_start[1]; i++)
            accumulator->grouped[next[slot[i]]++] =
                (struct capture_activation){capture_place(window, position), value[i]};
    }
}

/* A counting sort, stable: windows in their order, positions ascending. Values outside windows
 * were counted as well: they leave gaps between slots. */
status_t capture_group_by_slot(struct capture_accumulator *accumulator, struct error *err)
{
    const size_t n_tokens = (size_t)accumulator->unit->n_rows * accumulator->unit->row_tokens;
    uint32_t next = 0;
    if (accumulator->n_added_tokens != n_tokens)
        return error_set(err, ST_BAD_INPUT,
                         "capture unit %llu has %zu tokens, activations came for %zu",
                         (unsigned long long)accumulator->unit->unit_number, n_tokens,
                         accumulator->n_added_tokens);
    for (uint32_t slot = 0; slot < accumulator->identity.n_slots; slot++) {
        const uint32_t n = accumulator->slot_end[slot];
        accumulator->slot_start[slot] = accumulator->slot_end[slot] = next;
        next += n;
    }
    for (uint32_t i = 0; i < accumulator->windows.n; i++) place_window(accumulator, i);
    return ST_OK;
}
