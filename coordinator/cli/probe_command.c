/* probe: what one feature does on texts of the user's. The operation answers "pending" until the
 * workers have answered; this command asks again. */
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/subject_request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXTS_MAX = 64, /* of one request */
    TEXT_MAX_BYTES = 16 * 1024,
    LINE_MAX_BYTES = 256 * 1024
};

/* --- the request --------------------------------------------------------------------------- */

/* Standard input, a text a line; empty lines are no texts. */
static status_t append_lines(json_t *texts, struct error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    status_t status = ST_OK;
    while (status == ST_OK && (n = getline(&line, &capacity, stdin)) >= 0) {
        if (n > 0 && line[n - 1] == '\n') line[--n] = '\0';
        if (n == 0) continue;
        if (n > TEXT_MAX_BYTES || json_array_size(texts) == TEXTS_MAX)
            status = error_set(err, ST_BAD_INPUT, "standard input: at most %d texts of %d bytes",
                               TEXTS_MAX, TEXT_MAX_BYTES);
        else if (json_array_append_new(texts, json_stringn(line, (size_t)n)) != 0)
            status = error_set(err, ST_BAD_INPUT, "standard input: line %zu is not valid UTF-8",
                               json_array_size(texts) + 1);
    }
    free(line);
    return status;
}

static status_t append_texts(const struct cli_arguments *arguments, size_t first, json_t *texts,
                             struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = first; i < arguments->n_positional && status == ST_OK; i++) {
        const char *text = arguments->positional[i];
        if (strcmp(text, "-") == 0)
            status = append_lines(texts, err);
        else if (json_array_size(texts) == TEXTS_MAX)
            status = error_set(err, ST_BAD_INPUT, "at most %d texts at a time", TEXTS_MAX);
        else if (json_array_append_new(texts, json_string(text)) != 0)
            status = error_set(err, ST_BAD_INPUT, "text %zu is not valid UTF-8", i - first + 1);
    }
    if (status == ST_OK && json_array_size(texts) == 0)
        status = error_set(err, ST_BAD_INPUT, "no text to probe with");
    return status;
}

static status_t make_request(const struct cli_arguments *arguments, json_t **out, struct error *err)
{
    const size_t at = arguments->model ? 0 : 1; /* of FEATURE */
    int64_t feature = 0;
    json_t *request = json_object(), *texts = json_array();
    status_t status = at + 1 < arguments->n_positional
                          ? ST_OK
                          : error_set(err, ST_BAD_INPUT, "no text to probe with");
    if (status == ST_OK)
        status =
            cli_parse_count(arguments->positional[at], "feature", 0, UINT32_MAX - 1, &feature, err);
    if (status == ST_OK) status = subject_request_name(arguments, request, err);
    if (status == ST_OK) status = append_texts(arguments, at + 1, texts, err);
    (void)json_object_set_new(request, "feature", json_integer(feature));
    (void)json_object_set_new(request, "texts", texts);
    if (status == ST_OK)
        *out = request;
    else
        json_decref(request);
    return status;
}

/* --- what is shown ------------------------------------------------------------------------- */

/* `"token" value` for each token above 0, whether it fires or not. */
static status_t append_values(struct buffer *line, const json_t *probe, struct error *err)
{
    const json_t *tokens = json_field(probe, "tokens"), *values = json_field(probe, "activations");
    status_t status = ST_OK;
    bool is_first = true;
    for (size_t i = 0; i < json_array_size(values) && status == ST_OK; i++) {
        const json_t *token = json_array_get(tokens, i);
        const double value = json_number_value(json_array_get(values, i));
        if (!(value > 0)) continue;
        status = buffer_append_text(line, is_first ? "\n                 \"" : ", \"", err);
        if (status == ST_OK && json_is_string(token))
            status = clean_text_append(line, json_string_value(token), json_string_length(token), 0,
                                       NULL, err);
        if (status == ST_OK) status = buffer_printf(line, err, "\" %.5g", value);
        is_first = false;
    }
    return status;
}

static const char *verdict_of(const json_t *probe)
{
    const json_t *fires = json_object_get(probe, "fires");
    if (json_is_null(fires)) return "-";
    return json_is_true(fires) ? "fires" : "silent";
}

static status_t print_probe(const struct cli *cli, const json_t *probe, double threshold,
                            struct error *err)
{
    struct buffer line;
    const char *error = json_field_text(probe, "error", NULL);
    buffer_init(&line, LINE_MAX_BYTES);
    status_t status;
    if (error) {
        status = buffer_printf(&line, err, "%8s  %-6s ", "-", "error");
        if (status == ST_OK) status = clean_text_append(&line, error, strlen(error), 0, NULL, err);
    } else {
        status = buffer_printf(&line, err, "%8.5g  %-6s ", json_field_number(probe, "max"),
                               verdict_of(probe));
        if (status == ST_OK)
            status = record_append_window(&line, probe, threshold, cli->has_color, err);
        if (status == ST_OK && json_field_is_true(probe, "is_cut"))
            status = buffer_append_text(&line, " ... (cut at the context)", err);
        if (status == ST_OK) status = append_values(&line, probe, err);
    }
    if (status == ST_OK) (void)fprintf(cli->out, "%s\n", buffer_text(&line));
    buffer_fini(&line);
    return status;
}

static status_t print_subject(const struct cli *cli, const json_t *answer, struct error *err)
{
    struct buffer line;
    const char *hook = json_field_text(answer, "hook_point", "?");
    const char *dictionary = json_field_text(answer, "dictionary", NULL);
    const double threshold = json_field_number(answer, "fire_threshold");
    buffer_init(&line, LINE_MAX_BYTES);
    status_t status =
        buffer_printf(&line, err, "feature %.0f of ", json_field_number(answer, "feature"));
    if (status == ST_OK) status = clean_text_append(&line, hook, strlen(hook), 0, NULL, err);
    if (status == ST_OK && dictionary) status = buffer_append_text(&line, ", ", err);
    if (status == ST_OK && dictionary)
        status = clean_text_append(&line, dictionary, strlen(dictionary), 0, NULL, err);
    if (status == ST_OK)
        status = isnan(threshold)
                     ? buffer_append_text(&line, "; from which value on it fires is not known", err)
                     : buffer_printf(&line, err, "; fires above %.5g", threshold);
    if (status == ST_OK)
        (void)fprintf(cli->out, "%s\n\n%8s  %-6s %s\n", buffer_text(&line), "MAX", "", "TEXT");
    buffer_fini(&line);
    return status;
}

static status_t print_answer(const struct cli *cli, const json_t *answer, struct error *err)
{
    const json_t *probes = json_field(answer, "probes");
    const double known = json_field_number(answer, "fire_threshold");
    const double threshold = isnan(known) ? 0 : known;
    status_t status = print_subject(cli, answer, err);
    for (size_t i = 0; i < json_array_size(probes) && status == ST_OK; i++)
        status = print_probe(cli, json_array_get(probes, i), threshold, err);
    return status;
}

status_t probe_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    static const struct subject_operation probe = {"probe", "Probes", print_answer};
    json_t *request = NULL;
    status_t status = make_request(arguments, &request, err);
    if (status == ST_OK) status = subject_request_show(cli, arguments, &probe, request, err);
    json_decref(request);
    return status;
}
