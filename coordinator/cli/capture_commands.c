/* captures: the evidence that is kept on disk. */
#include "common/quantity.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/text_table.h"

#include <string.h>

enum { KEY_DIGITS = 12, USERS_SIZE = 256 };

static const struct text_column columns[] = {{"CAPTURE", false, false},
                                             {"SIZE", true, false},
                                             {"CREATED", false, false},
                                             {"LAST USED", false, false},
                                             {"USED BY", false, true}};

/* "a-1, b-2"; "-" if nobody, "..." behind those that fit. */
static const char *users_text(const json_t *capture, char out[USERS_SIZE])
{
    const json_t *sweeps = json_field(capture, "sweeps");
    size_t used = 0;
    (void)snprintf(out, USERS_SIZE, "%s",
                   json_field_is_true(capture, "is_complete") ? "-" : "(not whole)");
    for (size_t i = 0; i < json_array_size(sweeps); i++) {
        const char *id = json_string_value(json_array_get(sweeps, i));
        const int n = snprintf(out + used, USERS_SIZE - used, "%s%s", i ? ", " : "", id ? id : "?");
        if (n < 0 || used + (size_t)n >= USERS_SIZE) break;
        used += (size_t)n;
    }
    return out;
}

static status_t add_row(struct text_table *table, const json_t *capture, bool is_wide,
                        struct error *err)
{
    char key[80], size[QUANTITY_SIZE], created[20], last_used[20], users[USERS_SIZE];
    (void)snprintf(key, sizeof key, "%.*s", is_wide ? (int)sizeof key - 1 : KEY_DIGITS,
                   json_field_text(capture, "key", "?"));
    (void)snprintf(created, sizeof created, "%s", json_field_text(capture, "created_at", "-"));
    (void)snprintf(last_used, sizeof last_used, "%s", json_field_text(capture, "used_at", "-"));
    const char *const cells[] = {key, quantity_bytes(json_field_number(capture, "n_bytes"), size),
                                 created, last_used, users_text(capture, users)};
    return text_table_add_cells(table, cells, sizeof cells / sizeof cells[0], err);
}

static status_t print_captures(const struct cli *cli, const struct cli_arguments *arguments,
                               const json_t *answer, struct error *err)
{
    struct text_table *table = NULL;
    char total[QUANTITY_SIZE], max[QUANTITY_SIZE];
    const json_t *captures = json_field(answer, "captures");
    const struct text_table_style style = status_text_style(cli, arguments);
    if (json_array_size(captures) == 0) {
        (void)fprintf(cli->err, "no captures yet\n");
        return ST_OK;
    }
    status_t status = text_table_create(&table, columns, sizeof columns / sizeof columns[0], err);
    for (size_t i = 0; i < json_array_size(captures) && status == ST_OK; i++)
        status =
            add_row(table, json_array_get(captures, i), arguments->format == CLI_FORMAT_WIDE, err);
    if (status == ST_OK) text_table_print(table, &style, cli->out);
    text_table_destroy(&table);
    if (status != ST_OK || arguments->no_headers) return status;
    const bool has_max = json_field(answer, "max_bytes") != NULL;
    (void)fprintf(cli->err, "%s in all%s%s\n",
                  quantity_bytes(json_field_number(answer, "n_bytes"), total),
                  has_max ? ", at most " : ", no limit",
                  has_max ? quantity_bytes(json_field_number(answer, "max_bytes"), max) : "");
    return ST_OK;
}

status_t captures_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *answer = NULL;
    const struct client_request request = {"captures", NULL, true};
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "CaptureList", answer, err);
    else if (status == ST_OK && arguments->format == CLI_FORMAT_JSONL)
        status = document_print_lines(cli->out, json_field(answer, "captures"), err);
    else if (status == ST_OK)
        status = print_captures(cli, arguments, answer, err);
    json_decref(answer);
    return status;
}
