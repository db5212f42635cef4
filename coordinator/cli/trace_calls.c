#include "coordinator/cli/trace_calls.h"

#include "common/quantity.h"
#include "coordinator/cli/clean_text.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/text_table.h"
#include "coordinator/cli/wrapped_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LINE_BYTES = 4 << 20, PURPOSE_SIZE = 64, SHOWN_ID_DIGITS = 16, WORDS_INDENT = 2 };

/* --- asking -------------------------------------------------------------------------------- */

static json_t *request_of(const struct cli_arguments *arguments, int64_t feature, const char *call)
{
    json_t *args = json_pack("{s:s, s:I, s:I}", "sweep", arguments->positional[0], "feature",
                             (json_int_t)feature, "target",
                             (json_int_t)(arguments->target < 0 ? 0 : arguments->target));
    if (args && call && json_object_set_new(args, "call", json_string(call)) != 0) {
        json_decref(args);
        return NULL;
    }
    return args;
}

/* The calls of one answer; NULL where there are none. */
static status_t ask(struct cli *cli, const struct cli_arguments *arguments, const char *call,
                    json_t **calls, struct error *err)
{
    int64_t feature = 0;
    json_t *answer = NULL;
    struct error problem = {0};
    status_t status =
        cli_parse_count(arguments->positional[1], "feature", 0, INT64_C(1) << 40, &feature, err);
    if (status != ST_OK) return status;
    json_t *args = request_of(arguments, feature, call);
    if (!args) return error_set(err, ST_BAD_INPUT, "--call: not valid UTF-8");
    const struct client_request request = {"calls", args, true};
    status = cli_ask(cli, arguments, &request, &answer, &problem);
    json_decref(args);
    if (status == ST_NOT_FOUND && !arguments->call) return ST_OK; /* nobody was asked */
    if (status != ST_OK) return error_set(err, status, "%s", problem.text);
    *calls = json_incref(json_object_get(answer, "calls"));
    json_decref(answer);
    return ST_OK;
}

/* One by one: a session's prompts together can be larger than a message should be. */
static status_t ask_words(struct cli *cli, const struct cli_arguments *arguments, json_t *calls,
                          struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(calls) && status == ST_OK; i++) {
        json_t *call = json_array_get(calls, i), *words = NULL;
        status = ask(cli, arguments, json_field_text(call, "call", ""), &words, err);
        if (words) (void)json_object_update(call, json_array_get(words, 0));
        json_decref(words);
    }
    return status;
}

status_t trace_calls_ask(struct cli *cli, const struct cli_arguments *arguments, json_t **out,
                         struct error *err)
{
    json_t *calls = NULL;
    status_t status = ask(cli, arguments, arguments->call, &calls, err);
    if (status == ST_OK && calls && arguments->raw && !arguments->call)
        status = ask_words(cli, arguments, calls, err);
    if (status == ST_OK)
        *out = calls;
    else
        json_decref(calls);
    return status;
}

/* --- counted ------------------------------------------------------------------------------- */

struct tally {
    double round; /* NAN: at the test */
    char purpose[PURPOSE_SIZE];
    size_t n, n_forgotten, n_elsewhere; /* paid by another sweep */
    double attempts, tokens_in, tokens_out, dollars;
};

static void purpose_of(const json_t *call, char out[PURPOSE_SIZE])
{
    const char *sheet = json_field_text(call, "sheet", NULL);
    const double judge = json_field_number(call, "judge");
    const int n = snprintf(out, PURPOSE_SIZE, "%.16s", json_field_text(call, "ask", "?"));
    if (!sheet || n < 0) return;
    (void)snprintf(out + n, PURPOSE_SIZE - (size_t)n, "%.0d: %.12s, %.12s",
                   judge > 0 ? (int)judge + 1 : 0, sheet, json_field_text(call, "score", ""));
}

static double or_zero(double value)
{
    return isnan(value) ? 0 : value;
}

static void count(struct tally *tally, const json_t *call)
{
    tally->n++;
    tally->n_forgotten += strcmp(json_field_text(call, "state", ""), "forgotten") == 0;
    tally->attempts += or_zero(json_field_number(call, "attempts"));
    tally->tokens_in += or_zero(json_field_number(call, "tokens_in"));
    tally->tokens_out += or_zero(json_field_number(call, "tokens_out"));
    tally->dollars += or_zero(json_field_number(call, "dollars"));
}

static bool is_same(double a, double b)
{
    return isnan(a) ? isnan(b) : !isnan(b) && fabs(a - b) < 0.5;
}

/* tallies[n calls] in the order in which each purpose comes first; returns how many. */
static size_t count_all(const json_t *calls, struct tally *tallies)
{
    size_t n = 0, i;
    const json_t *call;
    json_array_foreach(calls, i, call)
    {
        char purpose[PURPOSE_SIZE];
        const double round = json_field_number(call, "round");
        size_t at = 0;
        purpose_of(call, purpose);
        while (at < n &&
               (!is_same(tallies[at].round, round) || strcmp(tallies[at].purpose, purpose) != 0))
            at++;
        if (at == n) {
            tallies[n] = (struct tally){.round = round};
            memcpy(tallies[n++].purpose, purpose, sizeof purpose);
        }
        count(&tallies[at], call);
    }
    return n;
}

static const struct text_column columns[] = {
    {"ROUND", true, false},    {"CALLS FOR", false, true}, {"CALLS", true, false},
    {"ATTEMPTS", true, false}, {"TOKENS IN", true, false}, {"TOKENS OUT", true, false},
    {"DOLLARS", true, false},  {"FORGOTTEN", true, false}};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

static status_t add_tally(struct text_table *table, const struct tally *tally, struct error *err)
{
    char round[24] = "test", calls[QUANTITY_SIZE], attempts[QUANTITY_SIZE], in[QUANTITY_SIZE];
    char out[QUANTITY_SIZE], money[32], forgotten[QUANTITY_SIZE];
    if (!isnan(tally->round)) (void)snprintf(round, sizeof round, "%.0f", tally->round);
    (void)snprintf(money, sizeof money, "$%.6f", tally->dollars);
    const char *const row[N_COLUMNS] = {
        tally->purpose[0] ? round : "all",
        tally->purpose,
        quantity_count((double)tally->n, calls),
        quantity_count(tally->attempts, attempts),
        quantity_count(tally->tokens_in, in),
        quantity_count(tally->tokens_out, out),
        money,
        tally->n_forgotten ? quantity_count((double)tally->n_forgotten, forgotten) : "-"};
    return text_table_add_cells(table, row, N_COLUMNS, err);
}

status_t trace_calls_print(const struct cli *cli, const json_t *calls, struct error *err)
{
    struct text_table *table = NULL;
    const struct text_table_style style = {
        .has_heading = true, .has_color = cli->has_color, .width = cli->width};
    struct tally *tallies = calloc(json_array_size(calls) + 1, sizeof *tallies), all = {0};
    if (!tallies) return error_set(err, ST_NO_MEMORY, "calls");
    const size_t n = count_all(calls, tallies);
    status_t status = text_table_create(&table, columns, N_COLUMNS, err);
    for (size_t i = 0; i < n && status == ST_OK; i++) {
        status = add_tally(table, &tallies[i], err);
        all.n += tallies[i].n;
        all.n_forgotten += tallies[i].n_forgotten;
        all.attempts += tallies[i].attempts;
        all.tokens_in += tallies[i].tokens_in;
        all.tokens_out += tallies[i].tokens_out;
        all.dollars += tallies[i].dollars;
    }
    if (status == ST_OK) status = add_tally(table, &all, err);
    if (status == ST_OK) {
        (void)fputc('\n', cli->out);
        text_table_print(table, &style, cli->out);
    }
    text_table_destroy(&table);
    free(tallies);
    return status;
}

/* --- word for word ------------------------------------------------------------------------- */

/* Line by line, each cleaned. */
static status_t print_text(const struct cli *cli, const char *heading, const json_t *text,
                           const char *otherwise, struct error *err)
{
    struct buffer line;
    status_t status = ST_OK;
    const char *at = json_string_value(text), *end = at ? at + json_string_length(text) : NULL;
    (void)fprintf(cli->out, "--- %s\n", heading);
    if (!at) (void)fprintf(cli->out, "(%s)\n", otherwise);
    buffer_init(&line, TEXT_LINE_BYTES);
    while (at && at <= end && status == ST_OK) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        line.n_bytes = 0;
        status = clean_text_append(&line, at, (size_t)((stop ? stop : end) - at), 0, NULL, err);
        if (status == ST_OK)
            wrapped_text_print(cli->out, line.n_bytes ? buffer_text(&line) : "", WORDS_INDENT,
                               cli->width);
        at = stop ? stop + 1 : end + 1;
    }
    buffer_fini(&line);
    return status;
}

static void print_heading(const struct cli *cli, size_t number, const json_t *call)
{
    char purpose[PURPOSE_SIZE], round[40] = "test";
    const char *reason = json_field_text(call, "reason", NULL);
    const double n = json_field_number(call, "round");
    purpose_of(call, purpose);
    if (!isnan(n)) (void)snprintf(round, sizeof round, "round %.0f", n);
    (void)fprintf(cli->out, "\n=== %zu. %s, %s, prompt %.0f of it  %.*s\n", number, round, purpose,
                  or_zero(json_field_number(call, "prompt")) + 1, SHOWN_ID_DIGITS,
                  json_field_text(call, "call", "?"));
    (void)fprintf(
        cli->out, "    %s by %s %s: attempts %.0f, %.0f tokens in, %.0f out%s, $%.6f%s%s\n",
        json_field_text(call, "state", "?"), json_field_text(call, "served_by", "-"),
        json_field_text(call, "model", ""), or_zero(json_field_number(call, "attempts")),
        or_zero(json_field_number(call, "tokens_in")),
        or_zero(json_field_number(call, "tokens_out")),
        json_field_is_true(call, "is_estimated") ? " (estimated)" : "",
        or_zero(json_field_number(call, "dollars")), reason ? ": " : "", reason ? reason : "");
}

static status_t print_call(const struct cli *cli, size_t number, const json_t *call,
                           struct error *err)
{
    const json_t *messages = json_field(call, "body.messages");
    const bool is_gone = strcmp(json_field_text(call, "state", ""), "forgotten") == 0;
    status_t status = ST_OK;
    print_heading(cli, number, call);
    for (size_t i = 0; i < json_array_size(messages) && status == ST_OK; i++) {
        const json_t *message = json_array_get(messages, i);
        char heading[32];
        (void)snprintf(heading, sizeof heading, "%.20s", json_field_text(message, "role", "?"));
        status = print_text(cli, heading, json_field(message, "content"), "no text", err);
    }
    if (status != ST_OK) return status;
    return print_text(
        cli, "reply", json_field(call, "reply"),
        is_gone ? "forgotten: the store does not keep this reply any more" : "no reply", err);
}

status_t trace_calls_print_raw(const struct cli *cli, const json_t *calls, struct error *err)
{
    status_t status = ST_OK;
    for (size_t i = 0; i < json_array_size(calls) && status == ST_OK; i++)
        status = print_call(cli, i + 1, json_array_get(calls, i), err);
    return status;
}
