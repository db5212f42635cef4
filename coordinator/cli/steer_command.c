/* steer: what the model writes when features are set to a value, moved or ablated, beside what it
 * writes by itself. */
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/subject_request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 * 1024, NUMBER_SIZE = 32 };

/* --- the request --------------------------------------------------------------------------- */

static status_t append_intervention(json_t *list, int64_t feature, const char *kind, double value,
                                    struct error *err)
{
    return json_array_append_new(
               list, json_pack("{s:I s:f}", "feature", (json_int_t)feature, kind, value)) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "request");
}

/* 1054=6: its activation becomes 6; 1054+=6: 6 more of what it writes. */
static status_t append_assignment(json_t *list, const char *word, struct error *err)
{
    char number[NUMBER_SIZE], *end;
    int64_t feature = 0;
    const char *equals = strchr(word, '=');
    const bool is_added = equals && equals > word && equals[-1] == '+';
    const size_t n = equals ? (size_t)(equals - word) - is_added : 0;
    if (n == 0 || n >= sizeof number)
        return error_set(err, ST_BAD_INPUT, "\"%s\": FEATURE=VALUE or FEATURE+=VALUE", word);
    memcpy(number, word, n);
    number[n] = '\0';
    const status_t status = cli_parse_count(number, "feature", 0, UINT32_MAX - 1, &feature, err);
    if (status != ST_OK) return status;
    const double value = strtod(equals + 1, &end);
    if (end == equals + 1 || *end || !isfinite(value))
        return error_set(err, ST_BAD_INPUT, "\"%s\": the value is no number", word);
    return append_intervention(list, feature, is_added ? "add" : "set", value, err);
}

static status_t make_interventions(const struct cli_arguments *arguments, json_t *request,
                                   struct error *err)
{
    json_t *list = json_array();
    status_t status = ST_OK;
    (void)json_object_set_new(request, "interventions", list);
    for (size_t i = arguments->model ? 0 : 1; i < arguments->n_positional && status == ST_OK; i++)
        status = append_assignment(list, arguments->positional[i], err);
    for (size_t i = 0; i < arguments->ablate.n && status == ST_OK; i++) {
        int64_t feature = 0;
        status = cli_parse_count(arguments->ablate.items[i], "--ablate", 0, UINT32_MAX - 1,
                                 &feature, err);
        if (status == ST_OK) status = append_intervention(list, feature, "set", 0, err);
    }
    if (status == ST_OK && json_array_size(list) == 0)
        status = error_set(err, ST_BAD_INPUT,
                           "nothing to steer: FEATURE=VALUE, FEATURE+=VALUE or --ablate FEATURE");
    return status;
}

static status_t make_request(const struct cli_arguments *arguments, json_t *request,
                             struct error *err)
{
    if (!arguments->model && arguments->n_positional == 0)
        return error_set(err, ST_BAD_INPUT, "an argument is missing: SWEEP, or --model");
    if (!arguments->prompt) return error_set(err, ST_BAD_INPUT, "--prompt is missing");
    if (json_object_set_new(request, "prompt", json_string(arguments->prompt)) != 0)
        return error_set(err, ST_BAD_INPUT, "--prompt: not valid UTF-8");
    if (arguments->tokens >= 0)
        (void)json_object_set_new(request, "n_tokens", json_integer(arguments->tokens));
    if (arguments->samples >= 0)
        (void)json_object_set_new(request, "n_samples", json_integer(arguments->samples));
    if (arguments->seed >= 0)
        (void)json_object_set_new(request, "seed", json_integer(arguments->seed));
    if (!isnan(arguments->temperature))
        (void)json_object_set_new(request, "temperature", json_real(arguments->temperature));
    if (arguments->where)
        (void)json_object_set_new(request, "where", json_string(arguments->where));
    const status_t status = subject_request_name(arguments, request, err);
    return status == ST_OK ? make_interventions(arguments, request, err) : status;
}

/* --- what is shown ------------------------------------------------------------------------- */

static status_t append_clean(struct buffer *line, const char *text, size_t columns,
                             struct error *err)
{
    return clean_text_append(line, text, strlen(text), columns, NULL, err);
}

static status_t append_interventions(struct buffer *line, const json_t *answer, struct error *err)
{
    const json_t *list = json_field(answer, "interventions");
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(list) && status == ST_OK; i++) {
        const json_t *one = json_array_get(list, i);
        const double set = json_field_number(one, "set"), add = json_field_number(one, "add");
        status =
            buffer_printf(line, err, "%s%.0f", i ? ", " : "", json_field_number(one, "feature"));
        if (status != ST_OK) break;
        if (isnan(set))
            status = buffer_printf(line, err, " moved by %.5g", add);
        else if (set == 0)
            status = buffer_append_text(line, " ablated", err);
        else
            status = buffer_printf(line, err, " set to %.5g", set);
    }
    return status;
}

static const char *changed_tokens(const json_t *answer)
{
    const char *where = json_field_text(answer, "where", "?");
    if (strcmp(where, "last") == 0) return "the prompt's last token";
    if (strcmp(where, "new") == 0) return "the prompt's last token and the new ones";
    return "all tokens";
}

static status_t print_head(const struct cli *cli, const json_t *answer, struct error *err)
{
    struct buffer line;
    const char *dictionary = json_field_text(answer, "dictionary", NULL);
    buffer_init(&line, LINE_MAX_BYTES);
    status_t status = append_clean(&line, json_field_text(answer, "hook_point", "?"), 0, err);
    if (status == ST_OK && dictionary) status = buffer_append_text(&line, ", ", err);
    if (status == ST_OK && dictionary) status = append_clean(&line, dictionary, 0, err);
    if (status == ST_OK) status = buffer_append_text(&line, ": ", err);
    if (status == ST_OK) status = append_interventions(&line, answer, err);
    if (status == ST_OK) status = buffer_printf(&line, err, "; at %s\n", changed_tokens(answer));
    if (status == ST_OK)
        status =
            buffer_printf(&line, err, "KL(clean || steered) %.5g nats on the prompt's %s\n",
                          json_field_number(answer, "kl"),
                          strcmp(json_field_text(answer, "where", ""), "all") == 0 ? "tokens, mean"
                                                                                   : "last token");
    if (status == ST_OK) (void)fprintf(cli->out, "%s\n", buffer_text(&line));
    buffer_fini(&line);
    return status;
}

static status_t print_text(const struct cli *cli, const char *name, const char *text,
                           struct error *err)
{
    struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    status_t status = buffer_printf(&line, err, "%-8s ", name);
    if (status == ST_OK) status = append_clean(&line, text, 0, err);
    if (status == ST_OK) (void)fprintf(cli->out, "%s\n", buffer_text(&line));
    buffer_fini(&line);
    return status;
}

static status_t print_continuations(const struct cli *cli, const json_t *answer, struct error *err)
{
    const json_t *list = json_field(answer, "continuations");
    status_t status = print_text(cli, "PROMPT", json_field_text(answer, "prompt", ""), err);
    for (size_t i = 0; i < json_array_size(list) && status == ST_OK; i++) {
        const json_t *one = json_array_get(list, i);
        status = print_text(cli, "clean", json_field_text(one, "clean.text", ""), err);
        if (status == ST_OK)
            status = print_text(cli, "steered", json_field_text(one, "steered.text", ""), err);
    }
    return status;
}

static status_t print_changes(const struct cli *cli, const json_t *answer, struct error *err)
{
    enum { TOKEN_COLUMNS = 24 };
    const json_t *list = json_field(answer, "changes");
    status_t status = ST_OK;
    if (json_array_size(list) == 0) {
        (void)fprintf(cli->out, "\nno token's probability behind the prompt changes\n");
        return ST_OK;
    }
    (void)fprintf(cli->out, "\n%9s %9s  NEXT TOKEN\n", "CLEAN", "STEERED");
    for (size_t i = 0; i < json_array_size(list) && status == ST_OK; i++) {
        const json_t *one = json_array_get(list, i);
        struct buffer line;
        buffer_init(&line, LINE_MAX_BYTES);
        status = buffer_printf(&line, err, "%9.4f %9.4f  \"", json_field_number(one, "clean"),
                               json_field_number(one, "steered"));
        if (status == ST_OK)
            status = append_clean(&line, json_field_text(one, "token", ""), TOKEN_COLUMNS, err);
        if (status == ST_OK) (void)fprintf(cli->out, "%s\"\n", buffer_text(&line));
        buffer_fini(&line);
    }
    return status;
}

static status_t print_answer(const struct cli *cli, const json_t *answer, struct error *err)
{
    status_t status = print_head(cli, answer, err);
    if (status == ST_OK) status = print_continuations(cli, answer, err);
    return status == ST_OK ? print_changes(cli, answer, err) : status;
}

status_t steer_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    static const struct subject_operation steer = {"steer", "Steering", print_answer};
    json_t *request = json_object();
    status_t status =
        request ? make_request(arguments, request, err) : error_set(err, ST_NO_MEMORY, "request");
    if (status == ST_OK) status = subject_request_show(cli, arguments, &steer, request, err);
    json_decref(request);
    return status;
}
