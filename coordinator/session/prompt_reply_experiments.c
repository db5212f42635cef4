#include "coordinator/session/prompt_reply_experiments.h"

#include <jansson.h>
#include <string.h>

/* Take out pairs of < or >; returns how many bytes are left. */
static size_t drop_marks(char *line, size_t n)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        const bool is_mark = (line[i] == '<' || line[i] == '>') && n_kept > 0 &&
                             line[n_kept - 1] == line[i]; /* also one that a removal made */
        if (is_mark)
            n_kept--;
        else
            line[n_kept++] = line[i];
    }
    return n_kept;
}

/* The sign that prompts show for a line break is one, or no agent could write a text with one. */
static size_t restore_line_breaks(char *text, size_t n)
{
    static const char sign[] = "\xE2\x86\xB5"; /* U+21B5, as in prompt_data.c */
    size_t n_kept = 0;
    for (size_t at = 0; at < n;) {
        const bool is_break =
            n - at >= sizeof sign - 1 && !memcmp(text + at, sign, sizeof sign - 1);
        text[n_kept++] = is_break ? '\n' : text[at];
        at += is_break ? sizeof sign - 1 : 1;
    }
    text[n_kept] = '\0';
    return n_kept;
}

/* Without our highlight marks, and cleaned again: what they stood between may be blank. */
static size_t clean(const json_t *value, char out[PROMPT_MAX_LABEL_BYTES + 1])
{
    char line[PROMPT_MAX_LABEL_BYTES + 1];
    const size_t n = prompt_label_clean(json_string_value(value), json_string_length(value), line);
    return restore_line_breaks(out, prompt_label_clean(line, drop_marks(line, n), out));
}

static status_t take_list(const json_t *list, enum experiment_kind kind, size_t n_each,
                          const struct session_rounds *earlier, struct experiments *out,
                          struct error *err)
{
    size_t n_taken = 0;
    status_t status = ST_OK;
    if (!json_is_array(list))
        return error_set(err, ST_BAD_INPUT, "reply: \"%s\" is not a list",
                         experiment_kind_name(kind));
    for (size_t i = 0; i < json_array_size(list) && status == ST_OK; i++) {
        char text[PROMPT_MAX_LABEL_BYTES + 1];
        const json_t *value = json_array_get(list, i);
        const size_t n = n_taken < n_each && json_is_string(value) ? clean(value, text) : 0;
        const bool is_new = n > 0 && !experiments_have(out, text) &&
                            !(earlier && session_rounds_have_tried(earlier, text));
        if (is_new)
            status = experiments_add(out, kind, text, n, err);
        else
            out->n_dropped++;
        n_taken += is_new;
    }
    return status;
}

status_t prompt_reply_experiments(const char *reply, size_t n_bytes, size_t n_each,
                                  const struct session_rounds *earlier, struct experiments *out,
                                  struct error *err)
{
    json_t *object = NULL;
    bool is_repaired;
    status_t status = prompt_reply_object(reply, n_bytes, "fires", &object, &is_repaired, err);
    for (unsigned kind = 0; kind < EXPERIMENT_N_KINDS && status == ST_OK; kind++) {
        const json_t *list =
            json_object_get(object, experiment_kind_name((enum experiment_kind)kind));
        if (list) status = take_list(list, (enum experiment_kind)kind, n_each, earlier, out, err);
    }
    if (status == ST_OK && out->n == 0)
        status = error_set(err, ST_BAD_INPUT, "reply: no new text to try");
    json_decref(object);
    return status;
}
