#include "coordinator/session/prompt_classification.h"

#include "coordinator/session/prompt_data.h"

#include <stdio.h>
#include <string.h>

const char *const PROMPT_CLASSIFICATION_FIELDS[] = {"label", "windows", "n_windows"};

static status_t append_windows(struct buffer *out,
                               const struct prompt_classification_params *params, size_t first,
                               size_t n, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        const struct prompt_item *item = &params->items->items[params->plan->order[first + i]];
        status = buffer_printf(out, err, "%sText %zu: ", i > 0 ? "\n" : "", i + 1);
        if (status == ST_OK)
            status = prompt_data_append_window(out, item->window, params->texts, item->marks, err);
    }
    return status;
}

status_t prompt_classification_build(const struct prompt_classification_params *params,
                                     size_t index, struct prompt_messages *messages,
                                     struct error *err)
{
    size_t n;
    const size_t first = prompt_plan_range(params->plan, index, &n);
    if (params->label[0] == '\0') return error_set(err, ST_BAD_INPUT, "judge prompt: no label");
    struct buffer label, windows;
    buffer_init(&label, PROMPT_MAX_MESSAGE_BYTES);
    buffer_init(&windows, PROMPT_MAX_MESSAGE_BYTES);
    status_t status =
        prompt_data_append(&label, params->label, strlen(params->label), NULL, 0, err);
    if (status == ST_OK) status = append_windows(&windows, params, first, n, err);
    if (status == ST_OK) {
        char n_text[24];
        const int n_digits = snprintf(n_text, sizeof n_text, "%zu", n);
        const struct prompt_field fields[PROMPT_N_CLASSIFICATION_FIELDS] = {
            {PROMPT_CLASSIFICATION_FIELDS[0], (const char *)label.bytes, label.n_bytes},
            {PROMPT_CLASSIFICATION_FIELDS[1], (const char *)windows.bytes, windows.n_bytes},
            {PROMPT_CLASSIFICATION_FIELDS[2], n_text, (size_t)n_digits}};
        status = prompt_template_fill(params->template_, fields, PROMPT_N_CLASSIFICATION_FIELDS,
                                      &messages->system, &messages->user, err);
    }
    buffer_fini(&label);
    buffer_fini(&windows);
    return status;
}
