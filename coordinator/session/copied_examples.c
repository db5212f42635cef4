#include "coordinator/session/copied_examples.h"

#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/window_text.h"

#include <string.h>

/* One line in lower case (ASCII), spaces single; returns its words. */
static size_t normalise(const char *text, size_t n_bytes, char out[PROMPT_MAX_LABEL_BYTES + 1])
{
    const size_t n = prompt_label_clean(text, n_bytes, out);
    size_t n_words = n > 0;
    for (size_t i = 0; i < n; i++) {
        if (out[i] >= 'A' && out[i] <= 'Z') out[i] = (char)(out[i] - 'A' + 'a');
        n_words += out[i] == ' ';
    }
    return n_words;
}

static bool is_copy(const struct experiment *experiment, const char *window)
{
    char text[PROMPT_MAX_LABEL_BYTES + 1];
    return normalise(experiment->text, experiment->n_bytes, text) >= COPIED_LEAST_WORDS &&
           strstr(window, text) != NULL;
}

static void drop_copies(struct experiments *experiments, const char *window)
{
    for (size_t i = experiments->n; i-- > 0;)
        if (is_copy(&experiments->list[i], window)) experiments_drop(experiments, i);
}

status_t copied_examples_drop(struct experiments *experiments,
                              const struct feature_case *feature_case,
                              const struct token_texts *texts, struct error *err)
{
    for (size_t i = 0; i < feature_case->n_explain; i++) {
        struct window_text window;
        char line[PROMPT_MAX_LABEL_BYTES + 1];
        const status_t status = window_text_init(&window, &feature_case->explain[i], texts, err);
        if (status != ST_OK) return status;
        (void)normalise(window.text, window.n_bytes, line);
        window_text_fini(&window);
        drop_copies(experiments, line);
    }
    return ST_OK;
}
