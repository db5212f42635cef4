/* cost: a sweep's books, by provider. */
#include "common/quantity.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/status_text.h"
#include "coordinator/cli/text_table.h"

enum { SHOWN_ID_DIGITS = 12 };

/* --- by provider --------------------------------------------------------------------------- */

static const struct text_column cost_columns[] = {{"PROVIDER", false, true},
                                                  {"CALLS", true, false},
                                                  {"TOKENS IN", true, false},
                                                  {"TOKENS OUT", true, false},
                                                  {"DOLLARS", true, false}};
enum { N_COST_COLUMNS = sizeof cost_columns / sizeof cost_columns[0] };

static status_t add_cost(struct text_table *table, const char *name, const json_t *cost,
                         struct error *err)
{
    char calls[QUANTITY_SIZE], in[QUANTITY_SIZE], out[QUANTITY_SIZE], money[32];
    (void)snprintf(money, sizeof money, "$%.6f", json_field_number(cost, "dollars"));
    const char *const cells[N_COST_COLUMNS] = {
        name, quantity_count(json_field_number(cost, "calls"), calls),
        quantity_count(json_field_number(cost, "tokens_in"), in),
        quantity_count(json_field_number(cost, "tokens_out"), out), money};
    return text_table_add_cells(table, cells, N_COST_COLUMNS, err);
}

static status_t print_costs(const struct cli *cli, const struct text_table_style *style,
                            const json_t *answer, struct error *err)
{
    struct text_table *table = NULL;
    const json_t *providers = json_field(answer, "providers");
    status_t status = text_table_create(&table, cost_columns, N_COST_COLUMNS, err);
    for (size_t i = 0; i < json_array_size(providers) && status == ST_OK; i++) {
        const json_t *cost = json_array_get(providers, i);
        status = add_cost(table, json_field_text(cost, "provider", NULL), cost, err);
    }
    if (status == ST_OK) status = add_cost(table, "together", json_field(answer, "together"), err);
    if (status == ST_OK) text_table_print(table, style, cli->out);
    text_table_destroy(&table);
    return status;
}

/* --- what else is in the books ------------------------------------------------------------- */

static void print_money(const struct cli *cli, const json_t *answer)
{
    const json_t *sum = json_field(answer, "together");
    const double budget = json_field_number(answer, "budget_dollars");
    const double spent = json_field_number(sum, "dollars");
    const double reserved = json_field_number(sum, "reserved_dollars");
    const double uncertain = json_field_number(sum, "uncertain_dollars");
    char left[QUANTITY_SIZE], of[QUANTITY_SIZE], cached[QUANTITY_SIZE], failed[QUANTITY_SIZE];
    char estimated[QUANTITY_SIZE];
    if (budget >= 0)
        (void)fprintf(cli->out, "budget      %s, %s left\n", quantity_dollars(budget, of),
                      quantity_dollars(budget - spent - reserved - uncertain, left));
    (void)fprintf(cli->out, "reserved    $%.6f for calls in flight\n", reserved);
    (void)fprintf(cli->out, "uncertain   $%.6f: sent, and never known to have been answered\n",
                  uncertain);
    (void)fprintf(cli->out, "not paid    %s answered by stored replies, %s failed\n",
                  quantity_count(json_field_number(sum, "cached"), cached),
                  quantity_count(json_field_number(sum, "failed"), failed));
    if (json_field_number(sum, "estimated") > 0)
        (void)fprintf(cli->out, "estimated   %s calls whose provider gave no sound usage\n",
                      quantity_count(json_field_number(sum, "estimated"), estimated));
}

static const struct text_column uncertain_columns[] = {
    {"CALL", false, false},   {"PROVIDER", false, true}, {"ATTEMPT", true, false},
    {"AT MOST", true, false}, {"AT", false, false},      {"STATE", false, false},
    {"WHY", false, true},
};
enum { N_UNCERTAIN_COLUMNS = sizeof uncertain_columns / sizeof uncertain_columns[0] };

static status_t add_uncertain(struct text_table *table, const json_t *one, struct error *err)
{
    char id[SHOWN_ID_DIGITS + 1], attempt[QUANTITY_SIZE], money[32];
    (void)snprintf(id, sizeof id, "%s", json_field_text(one, "call", "-"));
    (void)snprintf(money, sizeof money, "$%.6f", json_field_number(one, "worst_case_dollars"));
    const bool is_settled = json_is_true(json_field(one, "is_settled"));
    const char *const cells[N_UNCERTAIN_COLUMNS] = {
        id,
        json_field_text(one, "provider", NULL),
        quantity_count(json_field_number(one, "attempt"), attempt),
        money,
        json_field_text(one, "at", NULL),
        is_settled ? "settled" : "open",
        json_field_text(one, "reason", NULL)};
    return text_table_add_cells(table, cells, N_UNCERTAIN_COLUMNS, err);
}

static status_t print_uncertain(const struct cli *cli, const struct text_table_style *style,
                                const json_t *answer, struct error *err)
{
    struct text_table *table = NULL;
    const json_t *all = json_field(answer, "uncertain");
    if (json_array_size(all) == 0) return ST_OK;
    (void)fputc('\n', cli->out);
    status_t status = text_table_create(&table, uncertain_columns, N_UNCERTAIN_COLUMNS, err);
    for (size_t i = 0; i < json_array_size(all) && status == ST_OK; i++)
        status = add_uncertain(table, json_array_get(all, i), err);
    if (status == ST_OK) text_table_print(table, style, cli->out);
    text_table_destroy(&table);
    return status;
}

status_t cost_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *answer = NULL;
    json_t *to_send = json_pack("{s:s}", "sweep", arguments->positional[0]);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"cost", to_send, true};
    const struct text_table_style style = status_text_style(cli, arguments);
    status_t status = cli_ask(cli, arguments, &request, &answer, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON) {
        status = document_print(cli->out, "Cost", answer, err);
    } else if (status == ST_OK) {
        status = print_costs(cli, &style, answer, err);
        if (status == ST_OK) print_money(cli, answer);
        if (status == ST_OK) status = print_uncertain(cli, &style, answer, err);
        if (json_array_size(json_field(answer, "providers")) == 0)
            (void)fprintf(cli->err, "no provider was paid\n");
    }
    json_decref(to_send);
    json_decref(answer);
    return status;
}
