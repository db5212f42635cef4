#include "coordinator/session/window.h"

#include <math.h>
#include <string.h>

const char *window_kind_name(enum window_kind kind)
{
    static const char *const names[WINDOW_N_KINDS] = {"firing", "silent_random", "silent_hard",
                                                      "silent_neighbour"};
    return (unsigned)kind < WINDOW_N_KINDS ? names[kind] : "unknown";
}

void window_fill_activations(const struct evidence_entry *entry, float fire_threshold,
                             float *activations)
{
    for (size_t i = 0; i < entry->window.n_tokens; i++) activations[i] = 0.0f;
    for (size_t i = 0; i < entry->n_activations; i++)
        if (entry->value[i] > fire_threshold && entry->position[i] < entry->window.n_tokens)
            activations[entry->position[i]] = entry->value[i];
}

float window_max(const struct window *window)
{
    float max_value = 0.0f;
    for (size_t i = 0; window->activations && i < window->n_tokens; i++)
        if (window->activations[i] > max_value) max_value = window->activations[i];
    return max_value;
}

bool window_fires(const struct window *window)
{
    return window_max(window) > 0.0f;
}

size_t window_n_firing(const struct window *window)
{
    size_t n_firing = 0;
    for (size_t i = 0; i < window->n_tokens; i++) n_firing += window_activation(window, i) > 0.0f;
    return n_firing;
}

size_t window_mark_strong(const struct window *window, float fraction, bool *marks)
{
    const float floor_value = fraction * window_max(window);
    size_t n_marked = 0;
    for (size_t i = 0; i < window->n_tokens; i++) {
        const float value = window_activation(window, i);
        marks[i] = value > 0.0f && value >= floor_value;
        n_marked += marks[i];
    }
    return n_marked;
}

bool window_overlaps(const struct window *a, const struct window *b)
{
    if (a->document_key != b->document_key || a->document_index != b->document_index) return false;
    const uint64_t a_end = (uint64_t)a->document_offset + a->n_tokens;
    const uint64_t b_end = (uint64_t)b->document_offset + b->n_tokens;
    return a->document_offset < b_end && b->document_offset < a_end;
}

int window_compare(const struct window *a, const struct window *b)
{
    if (a->document_key != b->document_key) return a->document_key < b->document_key ? -1 : 1;
    if (a->document_index != b->document_index)
        return a->document_index < b->document_index ? -1 : 1;
    if (a->document_offset != b->document_offset)
        return a->document_offset < b->document_offset ? -1 : 1;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    return a->n_tokens == b->n_tokens ? 0 : a->n_tokens < b->n_tokens ? -1 : 1;
}

static status_t check_one(const struct window *window, size_t index, struct error *err)
{
    if (window->n_tokens == 0) return error_set(err, ST_BAD_INPUT, "window %zu: no token", index);
    if ((unsigned)window->kind >= WINDOW_N_KINDS)
        return error_set(err, ST_BAD_INPUT, "window %zu: kind %d", index, (int)window->kind);
    for (size_t i = 0; i < window->n_tokens; i++) {
        const float value = window_activation(window, i);
        if (!isfinite(value) || value < 0.0f)
            return error_set(err, ST_BAD_INPUT, "window %zu: activation %g at token %zu", index,
                             (double)value, i);
    }
    if (window_fires(window) != (window->kind == WINDOW_FIRING))
        return error_set(err, ST_BAD_INPUT, "window %zu: called %s, but it %s", index,
                         window_kind_name(window->kind),
                         window_fires(window) ? "fires" : "does not fire");
    return ST_OK;
}

status_t window_check(const struct window *windows, size_t n_windows, struct error *err)
{
    for (size_t i = 0; i < n_windows; i++) {
        const status_t status = check_one(&windows[i], i, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}
