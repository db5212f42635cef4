/* top: the coordinator's overview as text, drawn again every second on a terminal. */
#include "common/quantity.h"
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/worker_text.h"

#include <math.h>
#include <string.h>

enum { SWEEPS_SHOWN = 8, LABELS_SHOWN = 8, LINE_MAX_BYTES = 4096, REFRESH_MS = 1000 };

static const char *shown(struct buffer *buffer, const char *text, size_t max_columns)
{
    buffer->n_bytes = 0;
    if (clean_text_append(buffer, text, strlen(text), max_columns, NULL, NULL) != ST_OK) return "";
    return buffer->n_bytes ? buffer_text(buffer) : "";
}

static void print_heading(const struct cli *cli, const json_t *overview)
{
    static const char *const states[] = {"ready", "leased", "done", "dead"};
    char number[QUANTITY_SIZE], path[32];
    (void)fprintf(cli->out, "interp %s  %s  store %s\n", json_field_text(overview, "version", "?"),
                  json_field_text(overview, "now", "?"),
                  json_field_is_true(overview, "is_store_up") ? "up" : "AWAY");
    (void)fputs("units ", cli->out);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        (void)snprintf(path, sizeof path, "queue.%s", states[i]);
        (void)fprintf(cli->out, " %s %s ", states[i],
                      quantity_count(json_field_number(overview, path), number));
    }
    (void)fprintf(cli->out, " calls in flight %s ",
                  quantity_count(json_field_number(overview, "calls.in_flight"), number));
    (void)fprintf(cli->out, " spent %s\n",
                  quantity_dollars(json_field_number(overview, "spend.dollars"), number));
}

static void print_sweeps(const struct cli *cli, const json_t *sweeps)
{
    struct buffer id, line;
    buffer_init(&id, LINE_MAX_BYTES);
    buffer_init(&line, LINE_MAX_BYTES);
    if (json_array_size(sweeps)) (void)fputs("\n", cli->out);
    for (size_t i = 0; i < json_array_size(sweeps) && i < SWEEPS_SHOWN; i++) {
        const json_t *sweep = json_array_get(sweeps, i);
        line.n_bytes = 0;
        if (progress_format(&line, sweep, NULL) != ST_OK) break;
        const char *name = shown(&id, json_field_text(sweep, "id", "?"), 32);
        const size_t used = clean_text_columns(name, strlen(name)) + 2;
        (void)fprintf(cli->out, "%s  ", name);
        (void)fprintf(cli->out, "%s\n",
                      shown(&id, buffer_text(&line), cli->width > 40 ? cli->width - used : 0));
    }
    buffer_fini(&id);
    buffer_fini(&line);
}

static void print_labels(const struct cli *cli, const json_t *labels)
{
    struct buffer text;
    buffer_init(&text, LINE_MAX_BYTES);
    if (json_array_size(labels)) (void)fputs("\nlatest labels\n", cli->out);
    for (size_t i = 0; i < json_array_size(labels) && i < LABELS_SHOWN; i++) {
        const json_t *label = json_array_get(labels, i);
        char score[QUANTITY_SIZE];
        (void)fprintf(cli->out, "%8.0f  %4s  %s\n", json_field_number(label, "feature"),
                      quantity_score(json_field_number(label, "score"), score),
                      shown(&text, json_field_text(label, "label", "-"),
                            cli->width > 40 ? cli->width - 18 : 100));
    }
    buffer_fini(&text);
}

static status_t print_overview(const struct cli *cli, const json_t *overview, struct error *err)
{
    const struct text_table_style style = {
        .has_heading = true, .has_color = cli->has_color, .width = cli->width};
    const json_t *workers = json_field(overview, "workers");
    status_t status = ST_OK;
    print_heading(cli, overview);
    print_sweeps(cli, json_field(overview, "sweeps"));
    if (json_array_size(workers)) {
        (void)fputs("\n", cli->out);
        status = worker_text_table(workers, false, &style, cli->out, err);
    }
    print_labels(cli, json_field(overview, "recent_labels"));
    return status;
}

static status_t show_once(struct cli *cli, const struct cli_arguments *arguments,
                          struct client *client, struct error *err)
{
    json_t *overview = NULL;
    const struct client_request request = {"overview", NULL, true};
    status_t status = client_ask(client, &request, &overview, err);
    if (status != ST_OK) return status;
    if (arguments->format == CLI_FORMAT_JSON) {
        status = document_print(cli->out, "Overview", overview, err);
    } else {
        if (cli->is_out_tty) (void)fputs("\033[H\033[2J", cli->out);
        status = print_overview(cli, overview, err);
    }
    (void)fflush(cli->out);
    json_decref(overview);
    return status;
}

status_t top_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    const bool is_once = !cli->is_out_tty || arguments->format == CLI_FORMAT_JSON;
    const int64_t interval_ms =
        isnan(arguments->interval_s) ? REFRESH_MS : (int64_t)(arguments->interval_s * 1000) + 1;
    status_t status = cli_connect(&client, cli, arguments, err);
    if (!is_once) cli_catch_interrupt();
    do {
        if (status == ST_OK) status = show_once(cli, arguments, client, err);
    } while (status == ST_OK && !is_once && cli_sleep(cli, interval_ms));
    if (*cli->interrupt) { /* Ctrl-C is how it is left */
        error_clear(err);
        status = ST_OK;
    }
    client_close(&client);
    return status;
}
