#define _XOPEN_SOURCE 700 /* realpath */
#include "coordinator/cli/subject_request.h"

#include "coordinator/cli/document.h"
#include "coordinator/cli/json_field.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 50,
    NO_WORKERS_MS = 3000 /* they may be on their way back to a coordinator that was restarted */
};
static const double default_wait_s = 60;

/* --- what it is about ---------------------------------------------------------------------- */

/* As the coordinator and its workers will read it. */
static status_t set_path(json_t *request, const char *key, const char *path, struct error *err)
{
    char *absolute = realpath(path, NULL);
    if (!absolute) return error_set(err, ST_NOT_FOUND, "--%s %s: %s", key, path, strerror(errno));
    const int failed = json_object_set_new(request, key, json_string(absolute));
    free(absolute);
    return failed ? error_set(err, ST_BAD_INPUT, "--%s: not valid UTF-8", key) : ST_OK;
}

static status_t set_text(json_t *request, const char *key, const char *text, struct error *err)
{
    return json_object_set_new(request, key, json_string(text)) == 0
               ? ST_OK
               : error_set(err, ST_BAD_INPUT, "%s: not valid UTF-8", key);
}

static status_t set_factor(const struct cli_arguments *arguments, json_t *request,
                           struct error *err)
{
    if (!arguments->dictionary)
        return error_set(err, ST_BAD_INPUT, "--norm-scaling-factor needs --dictionary");
    return json_object_set_new(request, "norm_scaling_factor",
                               json_real(arguments->norm_scaling_factor)) == 0
               ? ST_OK
               : error_set(err, ST_NO_MEMORY, "request");
}

status_t subject_request_name(const struct cli_arguments *arguments, json_t *request,
                              struct error *err)
{
    if (!arguments->model) {
        if (arguments->hook || arguments->dictionary || arguments->units ||
            !isnan(arguments->norm_scaling_factor))
            return error_set(err, ST_BAD_INPUT,
                             "--hook, --dictionary, --units and --norm-scaling-factor go with "
                             "--model; a sweep has its own");
        if (arguments->target >= 0)
            (void)json_object_set_new(request, "target", json_integer(arguments->target));
        return set_text(request, "sweep", arguments->positional[0], err);
    }
    if (!arguments->hook) return error_set(err, ST_BAD_INPUT, "--model needs --hook");
    if (!arguments->dictionary && !arguments->units)
        return error_set(err, ST_BAD_INPUT, "--model needs --dictionary or --units");
    status_t status = set_path(request, "model", arguments->model, err);
    if (status == ST_OK) status = set_text(request, "hook", arguments->hook, err);
    if (status == ST_OK && arguments->dictionary)
        status = set_path(request, "dictionary", arguments->dictionary, err);
    if (status == ST_OK && arguments->units)
        status = set_text(request, "units", arguments->units, err);
    if (status == ST_OK && !isnan(arguments->norm_scaling_factor))
        status = set_factor(arguments, request, err);
    return status;
}

/* --- asking until it is done --------------------------------------------------------------- */

struct patience {
    int64_t began_ms, no_workers_since_ms; /* 0: there are some */
    double wait_s;
};

static status_t keep_waiting(const struct cli *cli, struct patience *patience, const json_t *answer,
                             struct error *err)
{
    const int64_t now_ms = clock_monotonic_ms(cli->clock);
    const bool has_workers = json_field_number(answer, "n_workers") > 0;
    const char *isa = json_field_text(answer, "wants.isa", NULL);
    if (has_workers)
        patience->no_workers_since_ms = 0;
    else if (!patience->no_workers_since_ms)
        patience->no_workers_since_ms = now_ms;
    if (!has_workers && now_ms - patience->no_workers_since_ms >= NO_WORKERS_MS)
        return error_set(err, ST_UNREACHABLE,
                         "no worker%s%s is connected: interp-worker --connect ENDPOINT brings one",
                         isa ? " of the kind that the sweep ran on, " : "", isa ? isa : "");
    if ((double)(now_ms - patience->began_ms) >= patience->wait_s * 1000)
        return error_set(err, ST_TIMEOUT,
                         "the workers gave no answer in %.3g s (`interpctl workers` shows what "
                         "they do)",
                         patience->wait_s);
    return cli_sleep(cli, POLL_MS) ? ST_OK : error_set(err, ST_CANCELLED, "interrupted");
}

static status_t ask(const struct cli *cli, const struct cli_arguments *arguments,
                    const char *operation, const json_t *to_send, json_t **out, struct error *err)
{
    struct client *client = NULL;
    const struct client_request request = {operation, to_send, true};
    struct patience patience = {.began_ms = clock_monotonic_ms(cli->clock),
                                .wait_s = isnan(arguments->timeout_s) ? default_wait_s
                                                                      : arguments->timeout_s};
    status_t status = cli_connect(&client, cli, arguments, err);
    for (bool is_done = false; status == ST_OK && !is_done;) {
        json_t *answer = NULL;
        status = client_ask(client, &request, &answer, err);
        is_done = status == ST_OK && strcmp(json_field_text(answer, "state", ""), "done") == 0;
        if (is_done)
            *out = json_incref(answer);
        else if (status == ST_OK)
            status = keep_waiting(cli, &patience, answer, err);
        json_decref(answer);
    }
    client_close(&client);
    return status;
}

status_t subject_request_show(struct cli *cli, const struct cli_arguments *arguments,
                              const struct subject_operation *operation, const json_t *request,
                              struct error *err)
{
    json_t *answer = NULL;
    cli_catch_interrupt();
    status_t status = ask(cli, arguments, operation->name, request, &answer, err);
    if (status == ST_OK)
        status = arguments->format == CLI_FORMAT_JSON
                     ? document_print(cli->out, operation->kind, answer, err)
                     : operation->print(cli, answer, err);
    cli->was_interrupted = status == ST_CANCELLED;
    json_decref(answer);
    return status;
}
