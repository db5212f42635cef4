#include "coordinator/session/simulation_sheet.h"

#include "coordinator/session/simulation_reply.h"

#include <stdlib.h>
#include <string.h>

/* --- which windows ----------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Firing ones lie first in the selection, strongest first, then the random ones. */
size_t simulation_choose(const struct window_selection *judged, size_t n_each, size_t *out)
{
    const size_t n_firing = judged->n_of_kind[WINDOW_FIRING];
    const size_t n_taken = least(n_each, n_firing);
    size_t n = 0;
    for (size_t i = 0; i < n_taken; i++) out[n++] = (2 * i + 1) * n_firing / (2 * n_taken);
    for (size_t i = 0; i < least(n_each, judged->n_of_kind[WINDOW_SILENT_RANDOM]); i++)
        out[n++] = n_firing + i;
    return n;
}

static status_t choose(const struct window_selection *judged, size_t n_each, size_t **out,
                       size_t *n, struct error *err)
{
    *out = calloc(2 * n_each + 1, sizeof **out);
    if (!*out) return error_set(err, ST_NO_MEMORY, "%zu simulated windows", 2 * n_each);
    *n = simulation_choose(judged, n_each, *out);
    return ST_OK;
}

/* --- opening ------------------------------------------------------------------------------- */

status_t simulation_sheet_init(struct simulation_sheet *sheet,
                               const struct window_selection *judged, size_t n_each,
                               const struct token_texts *texts, struct error *err)
{
    struct simulation_sheet made = {NULL, 0};
    size_t *chosen = NULL, n = 0;
    status_t status = choose(judged, n_each, &chosen, &n, err);
    if (status == ST_OK) made.texts = calloc(n + 1, sizeof *made.texts);
    if (status == ST_OK && !made.texts)
        status = error_set(err, ST_NO_MEMORY, "%zu simulated windows", n);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const struct window *window = &judged->windows[chosen[i]];
        struct simulated_text *text = &made.texts[made.n_windows++];
        text->n_tokens = (uint32_t)window->n_tokens;
        status = simulation_tokens_init(&text->tokens, window, texts, err);
    }
    free(chosen);
    if (status == ST_OK)
        *sheet = made;
    else
        simulation_sheet_fini(&made);
    return status;
}

void simulation_sheet_fini(struct simulation_sheet *sheet)
{
    for (size_t i = 0; i < sheet->n_windows; i++) {
        simulation_tokens_fini(&sheet->texts[i].tokens);
        free(sheet->texts[i].predicted);
    }
    free(sheet->texts);
    *sheet = (struct simulation_sheet){NULL, 0};
}

/* --- answers ------------------------------------------------------------------------------- */

static status_t read_reply(const struct session_reply *reply, enum simulation_form form,
                           struct simulated_text *text, double *predicted, struct error *err)
{
    const struct simulation_tokens *tokens = &text->tokens;
    text->is_expected = false;
    if (form == SIMULATION_SCALE)
        return simulation_reply_scale(reply->content, reply->n_bytes, tokens, predicted, err);
    const status_t status = simulation_reply_logprobs(
        reply->content, reply->n_bytes, reply->logprobs,
        reply->logprobs ? strlen(reply->logprobs) : 0, tokens, predicted, err);
    text->is_expected = status == ST_OK;
    if (status == ST_OK || status == ST_NO_MEMORY) return status;
    struct error why = {0};
    return simulation_reply_lines(reply->content, reply->n_bytes, tokens, predicted, &why);
}

status_t simulation_sheet_fill(struct simulation_sheet *sheet, size_t index,
                               enum simulation_form form, const struct session_reply *reply,
                               bool *was_read, struct error *err)
{
    struct simulated_text *text = &sheet->texts[index];
    struct error why = {0};
    *was_read = false;
    double *predicted = calloc(text->n_tokens + 1, sizeof *predicted);
    if (!predicted) return error_set(err, ST_NO_MEMORY, "%u predictions", text->n_tokens);
    const status_t status =
        reply->content ? read_reply(reply, form, text, predicted, &why) : ST_NOT_FOUND;
    simulation_tokens_fini(&text->tokens);
    *was_read = status == ST_OK;
    if (*was_read)
        text->predicted = predicted;
    else
        free(predicted);
    return status == ST_NO_MEMORY ? error_set(err, status, "%s", why.text) : ST_OK;
}

/* --- the score ----------------------------------------------------------------------------- */

static status_t pair_windows(const struct simulation_sheet *sheet,
                             const struct window_selection *judged, const size_t *chosen,
                             struct simulated_window *out, struct error *err)
{
    for (size_t i = 0; i < sheet->n_windows; i++) {
        const struct window *window = &judged->windows[chosen[i]];
        if (window->n_tokens != sheet->texts[i].n_tokens)
            return error_set(err, ST_INTERNAL, "simulated window %zu has %zu tokens, not %u", i,
                             window->n_tokens, sheet->texts[i].n_tokens);
        out[i] = (struct simulated_window){window, sheet->texts[i].predicted};
    }
    return ST_OK;
}

status_t simulation_sheet_measure(const struct simulation_sheet *sheet,
                                  const struct window_selection *judged, size_t n_each,
                                  const struct bootstrap_params *params,
                                  struct simulation_outcome *out, struct error *err)
{
    struct simulated_window *windows = calloc(sheet->n_windows + 1, sizeof *windows);
    size_t *chosen = NULL, n = 0;
    struct simulation_outcome made = {.is_there = true, .form = out->form};
    status_t status = choose(judged, n_each, &chosen, &n, err);
    if (status == ST_OK && !windows)
        status = error_set(err, ST_NO_MEMORY, "%u simulated windows", sheet->n_windows);
    if (status == ST_OK && n != sheet->n_windows)
        status = error_set(err, ST_INTERNAL, "%zu windows to simulate, %u were asked about", n,
                           sheet->n_windows);
    if (status == ST_OK) status = pair_windows(sheet, judged, chosen, windows, err);
    if (status == ST_OK) status = simulation_measure(windows, n, NULL, params, &made.score, err);
    for (size_t i = 0; i < sheet->n_windows; i++) made.n_expected += sheet->texts[i].is_expected;
    made.score.r2 = made.score.absdev = (struct score_value){false, 0.0};
    free(windows);
    free(chosen);
    if (status == ST_OK) *out = made;
    return status;
}
