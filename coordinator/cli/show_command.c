/* show, trace: one feature with its evidence, and with everything its session tried. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/record_rounds.h"
#include "coordinator/cli/record_text.h"
#include "coordinator/cli/sweep_kind.h"
#include "coordinator/cli/sweep_watch.h"
#include "coordinator/cli/trace_calls.h"

#include <stdint.h>

/* The record that the two positional arguments name; the caller owns *out. */
static status_t ask_feature(struct cli *cli, const struct cli_arguments *arguments, json_t **out,
                            struct error *err)
{
    int64_t feature = 0;
    const int64_t target = arguments->target < 0 ? 0 : arguments->target;
    status_t status =
        cli_parse_count(arguments->positional[1], "feature", 0, INT64_C(1) << 40, &feature, err);
    if (status != ST_OK) return status;
    json_t *to_send = json_pack("{s:s, s:I, s:I}", "sweep", arguments->positional[0], "feature",
                                (json_int_t)feature, "target", (json_int_t)target);
    if (!to_send) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"feature", to_send, true};
    status = cli_ask(cli, arguments, &request, out, err);
    json_decref(to_send);
    return status;
}

/* The same. A circuit sweep has components, and no number of a feature finds one: said in the place
 * of an error about the number. */
static status_t ask_record(struct cli *cli, const struct cli_arguments *arguments, json_t **out,
                           struct error *err)
{
    const char *sweep = arguments->positional[0];
    struct client *client = NULL;
    json_t *summary = NULL;
    struct error kind = {0};
    const status_t status = ask_feature(cli, arguments, out, err);
    if (status != ST_BAD_INPUT && status != ST_NOT_FOUND) return status;
    if (cli_connect(&client, cli, arguments, NULL) == ST_OK &&
        sweep_watch_status(client, sweep, &summary, NULL) == ST_OK &&
        sweep_kind_check(sweep, summary, &kind) != ST_OK)
        *err = kind;
    json_decref(summary);
    client_close(&client);
    return err->status;
}

status_t show_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *record = NULL;
    status_t status = ask_record(cli, arguments, &record, err);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON)
        status = document_print(cli->out, "Feature", record, err);
    else if (status == ST_OK)
        status = record_print(cli, record,
                              arguments->limit < 0 ? SIZE_MAX : (size_t)arguments->limit, err);
    json_decref(record);
    return status;
}

static json_t *trace_document(const json_t *record, json_t *calls)
{
    return json_pack("{s:O?, s:O?, s:O?, s:O?, s:O*}", "feature",
                     json_object_get(record, "feature"), "target",
                     json_object_get(record, "target"), "label", json_object_get(record, "label"),
                     "session", json_object_get(record, "session"), "calls", calls);
}

static status_t print_trace(struct cli *cli, const struct cli_arguments *arguments,
                            const json_t *record, const json_t *calls, struct error *err)
{
    if (arguments->call) return trace_calls_print_raw(cli, calls, err);
    status_t status = record_print(cli, record, 0, err);
    if (status == ST_OK && json_field(record, "session"))
        status = record_print_trace(cli, record, err);
    if (status == ST_OK && calls) status = trace_calls_print(cli, calls, err);
    return status == ST_OK && arguments->raw ? trace_calls_print_raw(cli, calls, err) : status;
}

status_t trace_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    json_t *record = NULL, *document = NULL, *calls = NULL;
    status_t status = ask_record(cli, arguments, &record, err);
    if (status == ST_OK) status = trace_calls_ask(cli, arguments, &calls, err);
    if (status == ST_OK && !calls && (arguments->raw || !json_field(record, "session")))
        status = error_set(err, ST_NOT_FOUND,
                           "feature %s was labelled without a language model: `show` has all of it",
                           arguments->positional[1]);
    if (status == ST_OK && arguments->format == CLI_FORMAT_JSON) {
        document = trace_document(record, calls);
        status = document ? document_print(cli->out, "Trace", document, err)
                          : error_set(err, ST_NO_MEMORY, "trace");
    } else if (status == ST_OK) {
        status = print_trace(cli, arguments, record, calls, err);
    }
    json_decref(calls);
    json_decref(document);
    json_decref(record);
    return status;
}
