#include "coordinator/session/prompt_explainer.h"

#include "coordinator/session/prompt_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const PROMPT_EXPLAINER_FIELDS[] = {"examples", "silent_examples"};

static const float STRONG_FRACTION = 0.3f;

static const struct window *strongest(const struct window *windows, size_t n_windows)
{
    const struct window *best = &windows[0];
    for (size_t i = 1; i < n_windows; i++)
        if (window_max(&windows[i]) > window_max(best)) best = &windows[i];
    return best;
}

/* min(10, floor(10 * value / max)). */
static int strength_of(float value, float max_value)
{
    const double strength = floor(10.0 * (double)value / (double)max_value);
    return strength > 10.0 ? 10 : (int)strength;
}

/* Positions of the marked tokens, largest value first (ties: first in the text), at most
 * PROMPT_LISTED_TOKENS; then put in text order. */
static size_t listed_tokens(const struct window *window, const bool *marks,
                            size_t out[PROMPT_LISTED_TOKENS])
{
    size_t n = 0;
    for (size_t i = 0; i < window->n_tokens; i++) {
        if (!marks[i]) continue;
        size_t at = n;
        while (at > 0 && window->activations[out[at - 1]] < window->activations[i]) at--;
        if (at == PROMPT_LISTED_TOKENS) continue;
        if (n < PROMPT_LISTED_TOKENS) n++;
        memmove(&out[at + 1], &out[at], (n - 1 - at) * sizeof *out);
        out[at] = i;
    }
    for (size_t i = 1; i < n; i++) /* few: insertion sort */
        for (size_t j = i; j > 0 && out[j] < out[j - 1]; j--) {
            const size_t swapped = out[j];
            out[j] = out[j - 1];
            out[j - 1] = swapped;
        }
    return n;
}

static status_t append_strengths(struct buffer *out, const struct window *window,
                                 const struct window_text *text, const bool *marks, float max_value,
                                 struct error *err)
{
    size_t listed[PROMPT_LISTED_TOKENS];
    const size_t n = listed_tokens(window, marks, listed);
    status_t status = buffer_append_text(out, "\nStrength: ", err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        status = buffer_append_text(out, i > 0 ? ", \"" : "\"", err);
        if (status == ST_OK) status = prompt_data_append_token(out, text, listed[i], err);
        if (status == ST_OK)
            status = buffer_printf(out, err, "\" %d",
                                   strength_of(window->activations[listed[i]], max_value));
    }
    return status;
}

static status_t append_firing(struct buffer *out, size_t number, const struct window *window,
                              float max_value, const struct token_texts *texts, struct error *err)
{
    struct window_text text;
    bool *marks = calloc(window->n_tokens + 1, sizeof *marks);
    if (!marks) return error_set(err, ST_NO_MEMORY, "marks of %zu tokens", window->n_tokens);
    status_t status = window_text_init(&text, window, texts, err);
    if (status == ST_OK) {
        (void)window_mark_strong(window, STRONG_FRACTION, marks);
        status = buffer_printf(out, err, "%sExample %zu: ", number > 1 ? "\n\n" : "", number);
        if (status == ST_OK) status = prompt_data_append_text(out, &text, marks, err);
        if (status == ST_OK) status = append_strengths(out, window, &text, marks, max_value, err);
        window_text_fini(&text);
    }
    free(marks);
    return status;
}

static int compare_shown(const void *left, const void *right)
{
    const struct window *a = *(const struct window *const *)left;
    const struct window *b = *(const struct window *const *)right;
    const float a_max = window_max(a), b_max = window_max(b);
    if (a_max > b_max || a_max < b_max) return a_max > b_max ? -1 : 1;
    return window_compare(a, b);
}

/* The strongest window and the first others, n_firing together, by falling maximum. */
static status_t append_all_firing(struct buffer *out, const struct prompt_explainer_params *params,
                                  size_t n_firing, struct error *err)
{
    const struct window *first = strongest(params->firing, params->n_firing);
    const struct window **chosen = calloc(n_firing + 1, sizeof *chosen);
    if (!chosen) return error_set(err, ST_NO_MEMORY, "%zu examples", n_firing);
    size_t n = 0;
    chosen[n++] = first;
    for (size_t i = 0; i < params->n_firing && n < n_firing; i++)
        if (&params->firing[i] != first) chosen[n++] = &params->firing[i];
    qsort(chosen, n, sizeof *chosen, compare_shown);
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = append_firing(out, i + 1, chosen[i], window_max(first), params->texts, err);
    free(chosen);
    return status;
}

static status_t append_all_silent(struct buffer *out, const struct prompt_explainer_params *params,
                                  size_t n_silent, struct error *err)
{
    status_t status = ST_OK;
    if (n_silent == 0) return buffer_append_text(out, "(none are given)", err);
    for (size_t i = 0; i < n_silent && status == ST_OK; i++) {
        status = buffer_printf(out, err, "%sSilent %zu: ", i > 0 ? "\n" : "", i + 1);
        if (status == ST_OK)
            status = prompt_data_append_window(out, &params->silent[i], params->texts, NULL, err);
    }
    return status;
}

static status_t build_shown(const struct prompt_explainer_params *params,
                            const struct prompt_explainer_shown *shown,
                            struct prompt_messages *messages, struct error *err)
{
    struct buffer examples, silent;
    buffer_init(&examples, PROMPT_MAX_MESSAGE_BYTES);
    buffer_init(&silent, PROMPT_MAX_MESSAGE_BYTES);
    status_t status = append_all_firing(&examples, params, shown->n_firing, err);
    if (status == ST_OK) status = append_all_silent(&silent, params, shown->n_silent, err);
    if (status == ST_OK) {
        struct prompt_field fields[PROMPT_N_EXPLAINER_FIELDS + PROMPT_MAX_MORE_FIELDS] = {
            {PROMPT_EXPLAINER_FIELDS[0], (const char *)examples.bytes, examples.n_bytes},
            {PROMPT_EXPLAINER_FIELDS[1], (const char *)silent.bytes, silent.n_bytes}};
        for (size_t i = 0; i < params->n_more; i++)
            fields[PROMPT_N_EXPLAINER_FIELDS + i] = params->more[i];
        status = prompt_template_fill(params->template_, fields,
                                      PROMPT_N_EXPLAINER_FIELDS + params->n_more, &messages->system,
                                      &messages->user, err);
    }
    buffer_fini(&examples);
    buffer_fini(&silent);
    return status;
}

/* One example less; false when only one firing example is left. */
static bool leave_one_out(struct prompt_explainer_shown *shown)
{
    if (shown->n_silent > 0) {
        shown->n_silent--;
        return true;
    }
    if (shown->n_firing > 1) {
        shown->n_firing--;
        return true;
    }
    return false;
}

static status_t check_windows(const struct prompt_explainer_params *params, struct error *err)
{
    if (params->n_firing == 0)
        return error_set(err, ST_BAD_INPUT, "explainer prompt: no firing window");
    if (params->n_more > PROMPT_MAX_MORE_FIELDS)
        return error_set(err, ST_BAD_INPUT, "explainer prompt: %zu further fields", params->n_more);
    status_t status = window_check(params->firing, params->n_firing, err);
    if (status == ST_OK) status = window_check(params->silent, params->n_silent, err);
    for (size_t i = 0; status == ST_OK && i < params->n_firing; i++)
        if (params->firing[i].kind != WINDOW_FIRING)
            status = error_set(err, ST_BAD_INPUT, "explainer prompt: example %zu is silent", i);
    for (size_t i = 0; status == ST_OK && i < params->n_silent; i++)
        if (params->silent[i].kind == WINDOW_FIRING)
            status = error_set(err, ST_BAD_INPUT, "explainer prompt: silent example %zu fires", i);
    return status;
}

status_t prompt_explainer_build(const struct prompt_explainer_params *params,
                                struct prompt_messages *messages,
                                struct prompt_explainer_shown *shown, struct error *err)
{
    struct prompt_explainer_shown now = {params->n_firing, params->n_silent, 0};
    status_t status = check_windows(params, err);
    const size_t n_system = messages->system.n_bytes, n_user = messages->user.n_bytes;
    while (status == ST_OK) {
        messages->system.n_bytes = n_system;
        messages->user.n_bytes = n_user;
        status = build_shown(params, &now, messages, err);
        now.n_prompt_tokens = prompt_messages_tokens(messages, params->tokens_per_byte);
        if (status != ST_OK || params->max_prompt_tokens == 0 ||
            now.n_prompt_tokens <= params->max_prompt_tokens)
            break;
        if (!leave_one_out(&now))
            status = error_set(err, ST_TOO_LARGE,
                               "explainer prompt: one example makes %zu tokens (at most %zu)",
                               now.n_prompt_tokens, params->max_prompt_tokens);
    }
    if (now.n_firing < params->n_firing || now.n_silent < params->n_silent) messages->is_cut = true;
    if (status == ST_OK && shown) *shown = now;
    return status;
}
