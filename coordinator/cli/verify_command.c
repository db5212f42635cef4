#define _XOPEN_SOURCE 700 /* realpath */
/* verify-circuit: a circuit that the user brings, judged as a sweep judges the one it finds. */
#include "common/file.h"
#include "coordinator/circuit/circuit_file.h"
#include "coordinator/cli/circuit_report.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/submission.h"
#include "coordinator/cli/sweep_watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE_POLL_MS = 500 };

/* --- the sweep ----------------------------------------------------------------------------- */

/* Is it a circuit at all? Said before anything is sent. */
static status_t check_circuit(const char *path, struct error *err)
{
    struct circuit circuit;
    char *text;
    size_t n_bytes;
    status_t status = file_read(path, CIRCUIT_MAX_BYTES, &text, &n_bytes, err);
    if (status != ST_OK) return status;
    status = circuit_file_parse(&circuit, path, text, n_bytes, err);
    if (status == ST_OK) circuit_fini(&circuit);
    free(text);
    return status;
}

/* Without the key `search`. The caller frees it; NULL without memory. */
static char *text_of(const struct sweep_spec *spec)
{
    char *text = sweep_spec_to_json(spec);
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    (void)json_object_del(json, "search");
    text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    return text;
}

/* The sweep file with its key `circuit` set: canonical JSON, which is a sweep file too. The file
 * may be one of a search: its key `search` is left out. The caller frees *out. */
static status_t sweep_with(struct sweep_spec *spec, const char *sweep_file, const char *circuit,
                           char **out, struct error *err)
{
    if (spec->kind != SWEEP_KIND_CIRCUIT)
        return error_set(err, ST_BAD_INPUT, "%s: kind: a sweep of kind circuit is wanted, not %s",
                         sweep_file, sweep_kind_name(spec->kind));
    char *path = realpath(circuit, NULL);
    if (!path) return error_set(err, ST_NOT_FOUND, "%s: its path cannot be found", circuit);
    free(spec->circuit);
    free(spec->circuit_sha256);
    spec->circuit = path;
    spec->circuit_sha256 = NULL;
    *out = text_of(spec);
    return *out ? ST_OK : error_set(err, ST_NO_MEMORY, "%s", sweep_file);
}

static status_t make_submission(struct submission *out, const struct cli_arguments *arguments,
                                struct error *err)
{
    const char *circuit = arguments->positional[0], *sweep_file = arguments->positional[1];
    struct submission given = {0};
    struct sweep_spec *spec = NULL;
    char *text = NULL;
    status_t status = check_circuit(circuit, err);
    if (status == ST_OK) status = submission_read(&given, sweep_file, arguments, err);
    if (status == ST_OK) status = submission_parse(&given, &spec, err);
    if (status == ST_OK) status = sweep_with(spec, sweep_file, circuit, &text, err);
    if (status == ST_OK) status = submission_take(out, sweep_file, text, arguments, err);
    sweep_spec_free(&spec);
    submission_fini(&given);
    return status;
}

/* --- the verdict --------------------------------------------------------------------------- */

/* A circuit that was brought has no stability: where nothing else failed, nothing did. */
static bool is_believed(const json_t *summary)
{
    const json_t *reasons = json_object_get(summary, "reasons");
    const char *outcome = json_field_text(summary, "outcome", "");
    const char *first = json_string_value(json_array_get(reasons, 0));
    const bool is_partial = strcmp(outcome, "partial") == 0;
    return strcmp(outcome, "verified") == 0 ||
           (is_partial && json_array_size(reasons) == 1 && first &&
            strncmp(first, "stability:", strlen("stability:")) == 0);
}

static status_t judge(const json_t *summary, struct error *err)
{
    const json_t *reasons = json_object_get(summary, "reasons");
    if (is_believed(summary)) return ST_OK;
    return error_set(err, ST_CANCELLED, "%s: %s", json_field_text(summary, "outcome", "no verdict"),
                     json_array_size(reasons) ? json_string_value(json_array_get(reasons, 0))
                                              : "no reason is told");
}

static status_t wait_for_it(struct cli *cli, const struct cli_arguments *arguments,
                            struct client *client, const char *sweep, struct error *err)
{
    json_t *last = NULL, *answer = NULL;
    const struct sweep_watch_params params = {.sweep = sweep,
                                              .timeout_s = arguments->timeout_s,
                                              .interval_ms = STATE_POLL_MS,
                                              .is_quiet = arguments->quiet};
    if (!arguments->quiet) (void)fprintf(cli->err, "sweep %s\n", sweep);
    status_t status = sweep_watch_wait(cli, client, &params, &last, err);
    if (status == ST_OK) status = circuit_report_ask(client, sweep, &answer, err);
    if (status == ST_OK) status = circuit_report_print(cli, arguments, answer, err);
    if (status == ST_OK) status = judge(json_object_get(answer, "summary"), err);
    json_decref(last);
    json_decref(answer);
    return status;
}

static status_t report(struct cli *cli, const struct cli_arguments *arguments, const json_t *answer,
                       struct error *err)
{
    const char *sweep = json_field_text(answer, "sweep", "");
    if (arguments->format == CLI_FORMAT_JSON)
        return document_print(cli->out, "Submission", answer, err);
    (void)fprintf(cli->out, "%s\n", sweep);
    if (!arguments->quiet)
        (void)fprintf(
            cli->err,
            "accepted. `interpctl wait %s` waits for it, `interpctl circuit %s` shows the "
            "verdict\n",
            sweep, sweep);
    return ST_OK;
}

status_t verify_circuit_command(struct cli *cli, const struct cli_arguments *arguments,
                                struct error *err)
{
    struct submission submission = {0};
    struct client *client = NULL;
    json_t *answer = NULL;
    struct cli_arguments connection = *arguments;
    if (arguments->wait) connection.timeout_s = NAN; /* it bounds the wait, not one answer */
    status_t status = make_submission(&submission, arguments, err);
    if (status == ST_OK) status = cli_connect(&client, cli, &connection, err);
    if (status == ST_OK) status = submission_send(&submission, client, &answer, err);
    if (status == ST_OK && arguments->wait)
        status = wait_for_it(cli, arguments, client, json_field_text(answer, "sweep", ""), err);
    else if (status == ST_OK)
        status = report(cli, arguments, answer, err);
    json_decref(answer);
    client_close(&client);
    submission_fini(&submission);
    return status;
}
