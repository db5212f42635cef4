/* submit: read the file, check it here, show the plan, send it once. */
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/plan_text.h"
#include "coordinator/cli/submission.h"
#include "coordinator/cli/sweep_watch.h"

#include <math.h>

enum { STATE_POLL_MS = 500 };

static status_t report(struct cli *cli, const struct cli_arguments *arguments, const json_t *answer,
                       struct error *err)
{
    const char *sweep = json_field_text(answer, "sweep", "");
    if (arguments->format == CLI_FORMAT_JSON)
        return document_print(cli->out, "Submission", answer, err);
    (void)fprintf(cli->out, "%s\n", sweep);
    (void)fflush(cli->out);
    if (arguments->quiet) return ST_OK;
    if (!json_field_is_true(answer, "is_new"))
        (void)fprintf(cli->err, "this key was accepted before: it is the same sweep\n");
    else if (!arguments->wait)
        (void)fprintf(cli->err,
                      "accepted. `interpctl status %s --watch` follows it, "
                      "`interpctl results %s` shows labels as they come\n",
                      sweep, sweep);
    return ST_OK;
}

static status_t submit_and_wait(struct cli *cli, const struct cli_arguments *arguments,
                                const struct submission *submission, struct error *err)
{
    struct client *client = NULL;
    json_t *answer = NULL, *last = NULL;
    struct cli_arguments connection = *arguments;
    if (arguments->wait) connection.timeout_s = NAN; /* it bounds the wait, not one answer */
    status_t status = cli_connect(&client, cli, &connection, err);
    if (status == ST_OK) status = submission_send(submission, client, &answer, err);
    if (status == ST_OK) status = report(cli, arguments, answer, err);
    if (status == ST_OK && arguments->wait) {
        const struct sweep_watch_params params = {.sweep = json_field_text(answer, "sweep", ""),
                                                  .timeout_s = arguments->timeout_s,
                                                  .interval_ms = STATE_POLL_MS,
                                                  .is_quiet = arguments->quiet};
        status = sweep_watch_wait(cli, client, &params, &last, err);
    }
    json_decref(last);
    json_decref(answer);
    client_close(&client);
    return status;
}

/* The plan before it is sent. What cannot be read here may well be there where the coordinator
 * runs, which decides: then it is said, and sent all the same. */
static void show_plan(const struct cli *cli, const struct cli_arguments *arguments,
                      const struct sweep_spec *spec)
{
    struct error err = {0};
    if (plan_text_print(cli, arguments, cli->err, spec, &err) != ST_OK)
        (void)fprintf(cli->err, "no estimate from here: %s\n", err.text);
}

status_t submit_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct submission submission = {0};
    struct sweep_spec *spec = NULL;
    status_t status = submission_read(&submission, arguments->positional[0], arguments, err);
    if (status == ST_OK) status = submission_parse(&submission, &spec, err);
    if (status == ST_OK && arguments->dry_run) {
        status = plan_text_print(cli, arguments, cli->out, spec, err);
    } else if (status == ST_OK) {
        if (!arguments->quiet) show_plan(cli, arguments, spec);
        status = submit_and_wait(cli, arguments, &submission, err);
    }
    sweep_spec_free(&spec);
    submission_fini(&submission);
    return status;
}
