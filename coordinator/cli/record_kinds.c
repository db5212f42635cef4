#include "coordinator/cli/record_kinds.h"

#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/wrapped_text.h"

#include <math.h>
#include <string.h>

enum { LINE_BYTES = 320, TOKENS_MAX_BYTES = 8192 };

/* --- the type ------------------------------------------------------------------------------ */

/* Append " name 0.93" where the value is there. */
static void append_value(char line[LINE_BYTES], const char *name, double value)
{
    const size_t n = strlen(line);
    if (!isnan(value) && n < LINE_BYTES)
        (void)snprintf(line + n, LINE_BYTES - n, ", %s %.2f", name, value);
}

void record_print_type(const struct cli *cli, const json_t *record)
{
    char line[LINE_BYTES];
    const json_t *typing = json_field(record, "typing");
    const char *claimed = json_field_text(record, "type", NULL);
    if (!json_is_object(typing)) return;
    (void)snprintf(line, sizeof line, "%.20s: %.0f group%s of windows%s",
                   json_field_text(typing, "type", "?"),
                   json_field_number(typing, "evidence.n_clusters"),
                   json_field_number(typing, "evidence.n_clusters") > 1 ? "s" : "",
                   json_field_is_true(typing, "evidence.is_founded") ? "" : " (not founded)");
    append_value(line, "pattern F1 over tokens", json_field_number(typing, "evidence.token_f1"));
    append_value(line, "of it by spelling", json_field_number(typing, "evidence.spelled"));
    append_value(line, "same words fire again", json_field_number(typing, "evidence.constancy"));
    status_text_line(cli, "type", line);
    if (claimed) status_text_line(cli, "claimed", claimed);
}

/* --- the output side ----------------------------------------------------------------------- */

/* " cat" 1.23, ... */
static status_t print_tokens(const struct cli *cli, const char *title, const json_t *tokens,
                             struct error *err)
{
    struct buffer line;
    status_t status = ST_OK;
    buffer_init(&line, TOKENS_MAX_BYTES);
    for (size_t i = 0; i < json_array_size(tokens) && status == ST_OK; i++) {
        const json_t *one = json_array_get(tokens, i);
        const char *text = json_field_text(one, "token", "");
        status = buffer_append_text(&line, i ? ", \"" : "\"", err);
        if (status == ST_OK) status = clean_text_append(&line, text, strlen(text), 30, NULL, err);
        if (status == ST_OK)
            status = buffer_printf(&line, err, "\" %.2f", json_field_number(one, "logit"));
    }
    if (status == ST_OK && line.n_bytes) status_text_line(cli, title, buffer_text(&line));
    buffer_fini(&line);
    return status;
}

status_t record_print_output(const struct cli *cli, const json_t *record, struct error *err)
{
    if (json_field(record, "no_output"))
        status_text_line(cli, "promotes", json_field_text(record, "no_output", "-"));
    status_t status = print_tokens(cli, "promotes", json_field(record, "promoted"), err);
    if (status == ST_OK && json_field(record, "output_label"))
        status_text_line(cli, "in common", json_field_text(record, "output_label", "-"));
    return status == ST_OK ? print_tokens(cli, "suppresses", json_field(record, "suppressed"), err)
                           : status;
}

/* --- meanings ------------------------------------------------------------------------------ */

static status_t print_meaning(const struct cli *cli, size_t number, const json_t *meaning,
                              struct error *err)
{
    char title[40], none[LINE_BYTES];
    (void)snprintf(title, sizeof title, "meaning %zu", number);
    (void)snprintf(none, sizeof none, "(none: %.200s)",
                   json_field_text(meaning, "no_label", "not known"));
    (void)fputc('\n', cli->out);
    status_text_line(cli, title, json_field_text(meaning, "label", none));
    if (json_field(meaning, "lexical.label") &&
        strcmp(json_field_text(meaning, "lexical.label", ""),
               json_field_text(meaning, "label", "")) != 0)
        status_text_line(cli, "lexical", json_field_text(meaning, "lexical.label", "-"));
    (void)snprintf(title, sizeof title, "%.0f explain windows",
                   json_field_number(meaning, "n_windows"));
    status_text_line(cli, "seen in", title);
    return record_print_scores(cli, json_field(meaning, "scores"), err);
}

status_t record_print_meanings(const struct cli *cli, const json_t *record, struct error *err)
{
    const json_t *list = json_field(record, "meanings.list");
    const size_t n = json_array_size(list);
    status_t status = ST_OK;
    if (n == 0) return ST_OK;
    char text[160];
    (void)snprintf(text, sizeof text,
                   "%zu meanings (%.0f of %.0f test windows belong to one; scored each on its own, "
                   "not tested against a null)",
                   n, json_field_number(record, "meanings.n_test_grouped"),
                   json_field_number(record, "meanings.n_test_firing"));
    (void)fputc('\n', cli->out);
    wrapped_text_print(cli->out, text, 0, cli->width);
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = print_meaning(cli, i + 1, json_array_get(list, i), err);
    return status;
}
