#include "coordinator/cli/circuit_report.h"

#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/wrapped_text.h"

#include <stdlib.h>
#include <string.h>

status_t circuit_report_ask(struct client *client, const char *sweep, json_t **answer,
                            struct error *err)
{
    json_t *to_send = json_pack("{s:s}", "sweep", sweep);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"circuit", to_send, true};
    const status_t status = client_ask(client, &request, answer, err);
    json_decref(to_send);
    return status;
}

static void print_list(const struct cli *cli, const json_t *texts)
{
    for (size_t i = 0; i < json_array_size(texts); i++)
        wrapped_text_print(cli->out, json_string_value(json_array_get(texts, i)), 2, cli->width);
}

/* Lines as they are: tables fit any terminal (circuit/verdict_text.h); a sentence that this one
 * would cut goes on below its first word. */
static void print_lines(const struct cli *cli, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n"), n_before = strspn(text, " -");
        char *words = n > n_before ? strndup(text + n_before, n - n_before) : NULL;
        (void)fprintf(cli->out, "%.*s", (int)(words ? n_before : n), text);
        wrapped_text_continue(cli->out, words ? words : "", n_before, cli->width);
        free(words);
        text += n + (text[n] == '\n');
    }
}

/* The report as the sweep left it; of one that found nothing, why, and where it did not look. */
static void print_text(const struct cli *cli, const json_t *answer)
{
    const char *text = json_string_value(json_field(answer, "text"));
    const char *agent = json_string_value(json_field(answer, "agent_text"));
    if (text) {
        print_lines(cli, text);
    } else {
        (void)fprintf(cli->out, "%s\n", json_field_text(answer, "summary.outcome", "no verdict"));
        print_list(cli, json_field(answer, "summary.reasons"));
        print_list(cli, json_field(answer, "summary.not_looked_at"));
    }
    if (agent) print_lines(cli, agent);
}

status_t circuit_report_print(const struct cli *cli, const struct cli_arguments *arguments,
                              json_t *answer, struct error *err)
{
    const char *dot = json_string_value(json_field(answer, "dot"));
    if (arguments->format == CLI_FORMAT_JSON) {
        (void)json_object_del(answer, "text"); /* what it says is in `verdict` */
        (void)json_object_del(answer, "dot");
        (void)json_object_del(answer, "agent_text"); /* what it says is in `agent` */
        return document_print(cli->out, "Circuit", answer, err);
    }
    if (!arguments->dot) {
        print_text(cli, answer);
        return ST_OK;
    }
    if (!dot) return error_set(err, ST_NOT_FOUND, "no circuit was found: there is nothing to draw");
    (void)fputs(dot, cli->out);
    return ST_OK;
}
