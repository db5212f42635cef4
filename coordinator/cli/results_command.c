/* results: the records of a sweep, page by page, filtered, sorted, in five formats. Pages are
 * printed as they come; only what is to be sorted is held in memory, as text. Tables and CSV ask
 * for the fields that they show: a hundredth of a record. JSON of all records, or of the first, is
 * handed on as it is stored; only filters and sorting have to read it. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/component_rows.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/result_page.h"
#include "coordinator/cli/result_rows.h"
#include "coordinator/cli/status_text.h"

#include "coordinator/session/prompt_reply.h"
#include "coordinator/session/triage.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Small: the coordinator answers one page between two beats. The first is small also where rows
 * are, so that something is seen at once. */
enum { PAGE_ROWS = 100, PAGE_BRIEF_ROWS = 500 };

struct results {
    struct cli *cli;
    const struct cli_arguments *arguments;
    struct result_rows rows; /* kept for sorting */
    struct text_table *table;
    struct record_columns columns; /* of the table, unless it is of components */
    json_t *fields;                /* those of a record that are asked for; NULL: all */
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

static status_t create_table(struct results *self, struct error *err)
{
    const bool is_wide = self->arguments->format == CLI_FORMAT_WIDE;
    if (self->has_components) {
        size_t n_columns;
        const struct text_column *columns = component_row_columns(is_wide, &n_columns);
        return text_table_create(&self->table, columns, n_columns, err);
    }
    record_columns_choose(&self->columns, is_wide, self->cli->width);
    return text_table_create(&self->table, self->columns.columns, self->columns.n_columns, err);
}

static status_t begin(struct results *self, bool has_components, struct error *err)
{
    self->has_components = has_components;
    switch (self->arguments->format) {
    case CLI_FORMAT_TABLE:
    case CLI_FORMAT_WIDE: return create_table(self, err);
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

/* What stands around a row of JSON. */
static void begin_row(struct results *self)
{
    self->n_printed++;
    if (self->arguments->format == CLI_FORMAT_JSON)
        (void)fputs(self->n_printed > 1 ? ",\n" : "\n", self->cli->out);
}

static void end_row(const struct results *self)
{
    if (self->arguments->format == CLI_FORMAT_JSONL) (void)fputc('\n', self->cli->out);
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
                                : record_add_row(self->table, &self->columns, record, err);
}

static status_t emit(void *context, const json_t *record, struct error *err)
{
    struct results *self = context;
    FILE *out = self->cli->out;
    status_t status = ST_OK;
    begin_row(self);
    switch (self->arguments->format) {
    case CLI_FORMAT_TABLE:
    case CLI_FORMAT_WIDE: return add_row(self, record, err);
    case CLI_FORMAT_CSV:
        if (!self->has_components) return record_print_csv(out, record, err);
        component_row_print_csv(out, record);
        return ST_OK;
    case CLI_FORMAT_JSON:
    case CLI_FORMAT_JSONL:
        status = print_json(out, record, err);
        end_row(self);
        return status;
    case CLI_N_FORMATS: break;
    }
    return status;
}

/* Show what has come; `has_more` rows follow, which must line up. */
static void flush(struct results *self, bool has_more)
{
    const struct text_table_style style = status_text_style(self->cli, self->arguments);
    const bool is_sorted = self->arguments->sort_by != NULL; /* then all come at the end */
    if (self->table && !self->has_components && has_more && !is_sorted)
        record_columns_reserve(&self->columns, self->table);
    if (self->table) text_table_flush(self->table, &style, self->cli->out);
    (void)fflush(self->cli->out); /* what cannot be written is told at the end */
}

static void end(struct results *self)
{
    if (self->arguments->format == CLI_FORMAT_JSON) (void)fputs("\n]}\n", self->cli->out);
    if (!self->table) return;
    flush(self, false);
    (void)fprintf(self->cli->err, "%zu of %.0f %s\n", self->n_printed, self->n_total,
                  self->has_components ? "components" : "features");
    if (self->n_printed && self->columns.hidden[0])
        (void)fprintf(self->cli->err, "a wider terminal also shows %s\n", self->columns.hidden);
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

static status_t take_record(struct results *self, const json_t *record, struct error *err)
{
    if (!is_wanted(self, record)) return ST_OK;
    say_waivers(self, record);
    return self->arguments->sort_by ? result_rows_add(&self->rows, record, err)
                                    : emit(self, record, err);
}

static status_t parse_record(struct wire_text text, json_t **out, struct error *err)
{
    *out = json_loadb(text.bytes, text.n_bytes, JSON_ALLOW_NUL, NULL);
    return *out ? ST_OK : error_set(err, ST_PROTOCOL, "results: a record that is no JSON");
}

static bool is_filtered(const struct cli_arguments *arguments)
{
    return arguments->status || arguments->type || !isnan(arguments->min_score);
}

/* Is every record printed as it is stored? */
static bool is_passed_on(const struct results *self)
{
    return !self->fields && !self->arguments->sort_by && !is_filtered(self->arguments);
}

static status_t take_text(struct results *self, struct wire_text text, struct error *err)
{
    json_t *record = NULL;
    if (is_passed_on(self)) {
        begin_row(self);
        (void)fwrite(text.bytes, 1, text.n_bytes, self->cli->out);
        end_row(self);
        return ST_OK;
    }
    status_t status = parse_record(text, &record, err);
    if (status == ST_OK) status = take_record(self, record, err);
    json_decref(record);
    return status;
}

static status_t take_page(struct results *self, struct result_page *page, struct error *err)
{
    struct wire_text text;
    bool has_record = true;
    while (!is_enough(self)) {
        status_t status = result_page_next(page, &text, &has_record, err);
        if (status != ST_OK || !has_record) return status;
        status = take_text(self, text, err);
        if (status != ST_OK) return status;
    }
    return ST_OK;
}

/* What the records are of is seen by the first one; the page stays as it is. */
static status_t look_at(struct result_page page, bool *has_components, struct error *err)
{
    struct wire_text text;
    bool has_record;
    json_t *record = NULL;
    status_t status = result_page_next(&page, &text, &has_record, err);
    if (status == ST_OK && has_record) status = parse_record(text, &record, err);
    *has_components = record && component_row_is(record);
    json_decref(record);
    return status;
}

/* Tables and CSV are made of few fields; JSON is the record. */
static status_t choose_fields(struct results *self, struct error *err)
{
    const enum cli_format format = self->arguments->format;
    if (format == CLI_FORMAT_JSON || format == CLI_FORMAT_JSONL) return ST_OK;
    self->fields = json_array();
    if (!self->fields) return error_set(err, ST_NO_MEMORY, "fields of a record");
    const status_t status = record_row_fields(self->fields, err);
    return status == ST_OK ? component_row_fields(self->fields, err) : status;
}

/* Rows to ask for; fewer than a page where no more can be wanted. */
static json_int_t page_rows(const struct results *self, json_int_t cursor)
{
    const struct cli_arguments *arguments = self->arguments;
    const json_int_t most = self->fields && cursor ? PAGE_BRIEF_ROWS : PAGE_ROWS;
    if (arguments->limit < 0 || arguments->sort_by || is_filtered(arguments)) return most;
    const json_int_t wanted = arguments->limit - (json_int_t)self->n_printed;
    if (wanted < 1) return 1; /* of -n 0: the total is told */
    return wanted < most ? wanted : most;
}

static status_t ask_page(const struct results *self, struct client *client, json_int_t cursor,
                         struct result_page *page, struct error *err)
{
    struct wire_text text;
    json_t *to_send =
        json_pack("{s:s, s:I, s:I, s:O*}", "sweep", self->arguments->positional[0], "cursor",
                  cursor, "limit", page_rows(self, cursor), "fields", self->fields);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"results", to_send, true};
    const status_t status = client_ask_text(client, &request, &text, err);
    json_decref(to_send);
    return status == ST_OK ? result_page_open(page, text, err) : status;
}

static status_t read_pages(struct results *self, struct client *client, struct error *err)
{
    json_int_t cursor = 0;
    status_t status = ST_OK;
    bool is_begun = false, has_components; /* an unknown sweep leaves nothing half-written */
    for (bool has_more = true; has_more && status == ST_OK;) {
        struct result_page page;
        status = ask_page(self, client, cursor, &page, err);
        if (status == ST_OK && !is_begun) status = look_at(page, &has_components, err);
        if (status == ST_OK && !is_begun) status = begin(self, has_components, err);
        if (status != ST_OK) return status;
        is_begun = true;
        self->n_total = page.total;
        status = take_page(self, &page, err);
        has_more = page.next_cursor > cursor && !is_enough(self);
        if (has_more) cursor = page.next_cursor;
        flush(self, has_more);
    }
    return status;
}

status_t results_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct client *client = NULL;
    struct results self = {.cli = cli, .arguments = arguments};
    const bool by_score = arguments->sort_by && strcmp(arguments->sort_by, "score") == 0;
    result_rows_init(&self.rows, by_score,
                     arguments->limit < 0 ? SIZE_MAX : (size_t)arguments->limit);
    status_t status = check_list("--status", arguments->status, is_status,
                                 "open, token, dense, position, insufficient or dead", err);
    if (status == ST_OK)
        status = check_list("--type", arguments->type, is_type,
                            "concrete, syntactic, abstract or polysemantic", err);
    if (status == ST_OK) status = choose_fields(&self, err);
    if (status == ST_OK) status = cli_connect(&client, cli, arguments, err);
    if (status == ST_OK) status = read_pages(&self, client, err);
    if (status == ST_OK) status = result_rows_visit(&self.rows, emit, &self, err);
    if (status == ST_OK) end(&self);
    text_table_destroy(&self.table);
    result_rows_fini(&self.rows);
    json_decref(self.fields);
    client_close(&client);
    return status;
}
