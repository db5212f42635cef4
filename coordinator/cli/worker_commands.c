/* workers, drain, dead. */
#include "common/quantity.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/text_table.h"
#include "coordinator/cli/worker_text.h"

#include <string.h>

status_t workers_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *answer = NULL;
    const struct client_request request = {"workers", NULL, true};
    const struct text_table_style style = status_text_style(cli, arguments);
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status != ST_OK) return status;
    const json_t *workers = json_field(answer, "workers");
    if (arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "WorkerList", answer, err);
    else if (arguments->format == CLI_FORMAT_JSONL)
        status = document_print_lines(cli->out, workers, err);
    else if (json_array_size(workers) == 0)
        (void)fprintf(cli->err, "no workers: interp-worker --connect ENDPOINT brings one\n");
    else
        status =
            worker_text_table(workers, arguments->format == CLI_FORMAT_WIDE, &style, cli->out, err);
    json_decref(answer);
    return status;
}

status_t drain_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *answer = NULL;
    json_t *to_send = json_pack("{s:s}", "worker", arguments->positional[0]);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the worker's name is not valid UTF-8");
    const struct client_request request = {"drain", to_send, false};
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "Worker", answer, err);
    else if (status == ST_OK && !arguments->quiet)
        (void)fprintf(cli->out, "%s draining\n", arguments->positional[0]);
    json_decref(to_send);
    json_decref(answer);
    return status;
}

/* --- dead tasks ---------------------------------------------------------------------------- */

static const struct text_column dead_columns[] = {
    {"TASK", false, true}, {"UNIT", true, false},  {"WORKER", false, true},
    {"AT", false, false},  {"ERROR", false, true},
};

static status_t add_dead(struct text_table *table, const json_t *unit, struct error *err)
{
    char number[QUANTITY_SIZE], at[20];
    (void)snprintf(at, sizeof at, "%s", json_field_text(unit, "at", "-"));
    const char *const cells[] = {json_field_text(unit, "task", NULL),
                                 quantity_count(json_field_number(unit, "unit"), number),
                                 json_field_text(unit, "worker", NULL), at,
                                 json_field_text(unit, "error", NULL)};
    return text_table_add_cells(table, cells, sizeof cells / sizeof cells[0], err);
}

static status_t print_dead(const struct cli *cli, const struct cli_arguments *arguments,
                           const json_t *answer, struct error *err)
{
    struct text_table *table = NULL;
    char total[QUANTITY_SIZE];
    const json_t *units = json_field(answer, "units");
    const double n = json_field_number(answer, "total");
    struct text_table_style style = status_text_style(cli, arguments);
    style.wraps_last = true; /* the error */
    if (!(n > 0)) {
        (void)fprintf(cli->err, "no dead tasks\n");
        return ST_OK;
    }
    status_t status =
        text_table_create(&table, dead_columns, sizeof dead_columns / sizeof dead_columns[0], err);
    for (size_t i = 0; i < json_array_size(units) && status == ST_OK; i++)
        status = add_dead(table, json_array_get(units, i), err);
    if (status == ST_OK) text_table_print(table, &style, cli->out);
    text_table_destroy(&table);
    (void)fprintf(cli->err, "%s dead; `interpctl retry SWEEP` gives them another life\n",
                  quantity_count(n, total));
    return status;
}

status_t dead_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *answer = NULL;
    const bool is_one = arguments->n_positional > 0;
    json_t *to_send =
        is_one ? json_pack("{s:s}", "sweep", arguments->positional[0]) : json_object();
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"dead", to_send, true};
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "DeadList", answer, err);
    else if (status == ST_OK && arguments->format == CLI_FORMAT_JSONL)
        status = document_print_lines(cli->out, json_field(answer, "units"), err);
    else if (status == ST_OK)
        status = print_dead(cli, arguments, answer, err);
    json_decref(to_send);
    json_decref(answer);
    return status;
}
