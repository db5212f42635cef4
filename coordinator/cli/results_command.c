/* results: the records of a sweep, page by page, filtered, sorted, in five formats. Only a sorted
 * or tabular output is held in memory, as text; the rest streams. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/component_rows.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/result_rows.h"
#include "coordinator/cli/status_text.h"

#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/triage.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { PAGE_ROWS = 100 }; /* small: the coordinator answers one page between two beats */

struct results {
    struct cli *cli;
    const struct cli_arguments *arguments;
    struct result_rows rows; /* kept for sorting */
    struct text_table *table;
    size_t n_printed;
    double n_total;      /* records of the sweep so far */
    bool has_components; /* they are of a circuit sweep */
    bool is_waived;      /* what sets the sweep apart was said */
};

/* --- filter -------------------------------------------------------------------------------- */

/* Is `word` in the list "a,b,c"? */
static bool is_listed(const char *list, const char *word)
{
    const size_t n = strlen(word);
    while (*list) {
        const size_t n_item = strcspn(list, ",");
        if (n_item == n && strncmp(list, word, n) == 0) return true;
        list += n_item + (list[n_item] == ',');
    }
    return false;
}

static bool is_wanted(const struct results *self, const json_t *record)
{
    const struct cli_arguments *arguments = self->arguments;
    if (self->has_components) return true;
    if (arguments->status && !is_listed(arguments->status, json_field_text(record, "status", "")))
        return false;
    if (arguments->type && !is_listed(arguments->type, json_field_text(record, "typing.type", "")))
        return false;
    return isnan(arguments->min_score) || record_main_score(record) >= arguments->min_score;
}

static bool is_status(const char *name)
{
    enum feature_status status;
    return feature_status_parse(name, &status);
}

static bool is_type(const char *name)
{
    return feature_type_parse(name) != FEATURE_TYPE_NONE;
}

/* Is every word of the option's list "a,b" one that it knows? */
static status_t check_list(const char *option, const char *list, bool is_known(const char *name),
                           const char *choices, struct error *err)
{
    while (list && *list) {
        char name[24];
        const size_t n = strcspn(list, ",");
        (void)snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name), list);
        if (!is_known(name))
            return error_set(err, ST_BAD_INPUT, "%s \"%s\": %s", option, name, choices);
        list += n + (list[n] == ',');
    }
    return ST_OK;
}

/* --- output -------------------------------------------------------------------------------- */

static void print_csv_heading(const struct results *self)
{
    if (self->has_components)
        component_row_print_csv_heading(self->cli->out);
    else
        record_print_csv_heading(self->cli->out);
}

static status_t begin(struct results *self, const json_t *rows, struct error *err)
{
    size_t n_columns;
    const bool is_wide = self->arguments->format == CLI_FORMAT_WIDE;
    self->has_components = component_row_is(json_array_get(rows, 0));
    const struct text_column *columns = self->has_components
                                            ? component_row_columns(is_wide, &n_columns)
                                            : record_columns(is_wide, &n_columns);
    switch (self->arguments->format) {
    case CLI_FORMAT_TABLE:
    case CLI_FORMAT_WIDE: return text_table_create(&self->table, columns, n_columns, err);
    case CLI_FORMAT_CSV:
        if (!self->arguments->no_headers) print_csv_heading(self);
        return ST_OK;
    case CLI_FORMAT_JSON:
        (void)fprintf(self->cli->out, "{\"apiVersion\": \"interp/v1\", \"kind\": \"Results\", "
                                      "\"rows\": [");
        return ST_OK;
    case CLI_FORMAT_JSONL:
    case CLI_N_FORMATS: break;
    }
    return ST_OK;
}

static status_t print_json(FILE *out, const json_t *record, struct error *err)
{
    if (json_dumpf(record, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12)) != 0)
        return error_set(err, ST_IO, "writing JSON");
    return ST_OK;
}

static status_t add_row(struct results *self, const json_t *record, struct error *err)
{
    const bool is_wide = self->arguments->format == CLI_FORMAT_WIDE;
    return self->has_components ? component_row_add(self->table, is_wide, record, err)
                                : record_add_row(self->table, is_wide, record, err);
}

static status_t emit(void *context, const json_t *record, struct error *err)
{
    struct results *self = context;
    FILE *out = self->cli->out;
    status_t status = ST_OK;
    self->n_printed++;
    switch (self->arguments->format) {
    case CLI_FORMAT_TABLE:
    case CLI_FORMAT_WIDE: return add_row(self, record, err);
    case CLI_FORMAT_CSV:
        if (!self->has_components) return record_print_csv(out, record, err);
        component_row_print_csv(out, record);
        return ST_OK;
    case CLI_FORMAT_JSON:
        (void)fputs(self->n_printed > 1 ? ",\n" : "\n", out);
        return print_json(out, record, err);
    case CLI_FORMAT_JSONL:
        status = print_json(out, record, err);
        (void)fputc('\n', out);
        return status;
    case CLI_N_FORMATS: break;
    }
    return status;
}

static void end(struct results *self)
{
    const struct text_table_style style = status_text_style(self->cli, self->arguments);
    if (self->arguments->format == CLI_FORMAT_JSON) (void)fputs("\n]}\n", self->cli->out);
    if (!self->table) return;
    if (text_table_n_rows(self->table)) text_table_print(self->table, &style, self->cli->out);
    (void)fprintf(self->cli->err, "%zu of %.0f %s\n", self->n_printed, self->n_total,
                  self->has_components ? "components" : "features");
}

/* --- pages --------------------------------------------------------------------------------- */

static bool is_enough(const struct results *self)
{
    return !self->arguments->sort_by && self->arguments->limit >= 0 &&
           self->n_printed >= (size_t)self->arguments->limit;
}

/* Rows say it in JSON; of a table or CSV it is said once, beside the rows. */
static void say_waivers(struct results *self, const json_t *record)
{
    struct cli beside = *self->cli;
    const enum cli_format format = self->arguments->format;
    beside.out = self->cli->err;
    if (self->is_waived || format == CLI_FORMAT_JSON || format == CLI_FORMAT_JSONL) return;
    self->is_waived = true;
    status_text_print_waivers(&beside, record);
}

static status_t take_page(struct results *self, const json_t *rows, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(rows) && status == ST_OK && !is_enough(self); i++) {
        json_t *record = json_array_get(rows, i);
        if (!is_wanted(self, record)) continue;
        say_waivers(self, record);
        status = self->arguments->sort_by ? result_rows_add(&self->rows, record, err)
                                          : emit(self, record, err);
    }
    return status;
}

static status_t read_pages(struct results *self, struct client *client, struct error *err)
{
    json_int_t cursor = 0;
    status_t status = ST_OK;
    bool is_begun = false; /* an unknown sweep leaves nothing half-written */
    for (bool has_more = true; has_more && status == ST_OK;) {
        json_t *page = NULL;
        json_t *to_send = json_pack("{s:s, s:I, s:i}", "sweep", self->arguments->positional[0],
                                    "cursor", cursor, "limit", PAGE_ROWS);
        if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
        const struct client_request request = {"results", to_send, true};
        status = client_ask(client, &request, &page, err);
        json_decref(to_send);
        if (status == ST_OK && !is_begun) status = begin(self, json_field(page, "rows"), err);
        is_begun = true;
        if (status == ST_OK) {
            const json_t *next = json_field(page, "next_cursor");
            self->n_total = json_field_number(page, "total");
            status = take_page(self, json_field(page, "rows"), err);
            has_more =
                json_is_integer(next) && json_integer_value(next) > cursor && !is_enough(self);
            cursor = has_more ? json_integer_value(next) : cursor;
        }
        json_decref(page);
    }
    return status;
}

status_t results_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    struct results self = {.cli = cli, .arguments = arguments};
    const bool by_score = arguments->sort_by && strcmp(arguments->sort_by, "score") == 0;
    const bool is_tabular =
        arguments->format != CLI_FORMAT_JSON && arguments->format != CLI_FORMAT_JSONL;
    result_rows_init(&self.rows, by_score, is_tabular,
                     arguments->limit < 0 ? SIZE_MAX : (size_t)arguments->limit);
    status_t status = check_list("--status", arguments->status, is_status,
                                 "open, token, dense, position, insufficient or dead", err);
    if (status == ST_OK)
        status = check_list("--type", arguments->type, is_type,
                            "concrete, syntactic, abstract or polysemantic", err);
    if (status == ST_OK) status = cli_connect(&client, cli, arguments, err);
    if (status == ST_OK) status = read_pages(&self, client, err);
    if (status == ST_OK) status = result_rows_visit(&self.rows, emit, &self, err);
    if (status == ST_OK) end(&self);
    text_table_destroy(&self.table);
    result_rows_fini(&self.rows);
    client_close(&client);
    return status;
}
