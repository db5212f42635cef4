/* list, status, wait and the four that change a sweep's state. */
#include "common/task.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/sweep_watch.h"

#include <math.h>
#include <string.h>

enum { WATCH_MS = 1000 };

static int64_t interval_ms(const struct cli_arguments *arguments)
{
    return isnan(arguments->interval_s) ? WATCH_MS : (int64_t)(arguments->interval_s * 1000) + 1;
}

status_t list_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *answer = NULL;
    const struct client_request request = {"list", NULL, true};
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status != ST_OK) return status;
    const json_t *sweeps = json_field(answer, "sweeps");
    if (arguments->quiet) {
        for (size_t i = 0; i < json_array_size(sweeps); i++)
            (void)fprintf(cli->out, "%s\n", json_field_text(json_array_get(sweeps, i), "id", "?"));
    } else if (arguments->format == CLI_FORMAT_JSON) {
        status = document_print(cli->out, "SweepList", answer, err);
    } else if (arguments->format == CLI_FORMAT_JSONL) {
        status = document_print_lines(cli->out, sweeps, err);
    } else {
        status = status_text_list(cli, arguments, sweeps, err);
    }
    json_decref(answer);
    return status;
}

/* --- status -------------------------------------------------------------------------------- */

static status_t print_status(struct cli *cli, const struct cli_arguments *arguments,
                             const json_t *answer, struct error *err)
{
    if (arguments->format == CLI_FORMAT_JSON) return document_print(cli->out, "Sweep", answer, err);
    if (arguments->format == CLI_FORMAT_JSONL) return document_print_line(cli->out, answer, err);
    return status_text_sweep(cli, answer, err);
}

/* Show the whole status again and again; on a terminal in place. */
static status_t watch_status(struct cli *cli, const struct cli_arguments *arguments,
                             struct client *client, struct error *err)
{
    const char *sweep = arguments->positional[0];
    cli_catch_interrupt();
    for (;;) {
        json_t *answer = NULL;
        enum sweep_state state = SWEEP_RUNNING;
        status_t status = sweep_watch_status(client, sweep, &answer, err);
        if (*cli->interrupt) status = sweep_watch_detach(cli, sweep, err);
        if (status != ST_OK) return status;
        if (cli->is_out_tty && arguments->format == CLI_FORMAT_TABLE)
            (void)fputs("\033[H\033[2J", cli->out);
        status = print_status(cli, arguments, answer, err);
        (void)fflush(cli->out);
        const bool is_known =
            sweep_state_parse(json_field_text(answer, "state", ""), &state, NULL) == ST_OK;
        json_decref(answer);
        if (status != ST_OK || (is_known && sweep_state_is_final(state))) return status;
        if (!cli_sleep(cli, interval_ms(arguments))) return sweep_watch_detach(cli, sweep, err);
    }
}

status_t status_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    json_t *answer = NULL;
    status_t status = cli_connect(&client, cli, arguments, err);
    if (status == ST_OK && arguments->watch) {
        status = watch_status(cli, arguments, client, err);
    } else if (status == ST_OK) {
        status = sweep_watch_status(client, arguments->positional[0], &answer, err);
        if (status == ST_OK) status = print_status(cli, arguments, answer, err);
    }
    json_decref(answer);
    client_close(&client);
    return status;
}

status_t wait_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    json_t *last = NULL;
    struct cli_arguments connection = *arguments;
    connection.timeout_s = NAN; /* here --timeout bounds the wait, not one answer */
    const struct sweep_watch_params params = {.sweep = arguments->positional[0],
                                              .timeout_s = arguments->timeout_s,
                                              .interval_ms = interval_ms(arguments),
                                              .is_quiet = arguments->quiet};
    status_t status = cli_connect(&client, cli, &connection, err);
    if (status == ST_OK) status = sweep_watch_wait(cli, client, &params, &last, err);
    if (last && arguments->format != CLI_FORMAT_TABLE) {
        const status_t printed = print_status(cli, arguments, last, err);
        if (status == ST_OK) status = printed;
    }
    json_decref(last);
    client_close(&client);
    return status;
}

/* --- changes of state ---------------------------------------------------------------------- */

static status_t change(struct cli *cli, const struct cli_arguments *arguments,
                       const char *operation, struct error *err)
{
    json_t *answer = NULL;
    json_t *to_send = json_pack("{s:s}", "sweep", arguments->positional[0]);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    if (!isnan(arguments->budget))
        (void)json_object_set_new(to_send, "budget_dollars", json_real(arguments->budget));
    const struct client_request request = {operation, to_send, false};
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "Sweep", answer, err);
    else if (status == ST_OK && !arguments->quiet)
        (void)fprintf(cli->out, "%s %s\n",
                      json_field_text(answer, "sweep", arguments->positional[0]),
                      json_field_text(answer, "state", "?"));
    json_decref(to_send);
    json_decref(answer);
    return status;
}

status_t cancel_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    return change(cli, arguments, "cancel", err);
}

status_t pause_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    return change(cli, arguments, "pause", err);
}

status_t resume_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    return change(cli, arguments, "resume", err);
}

status_t retry_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    return change(cli, arguments, "retry", err);
}
