#include "coordinator/cli/sweep_watch.h"

#include "common/task.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/progress.h"

#include <math.h>
#include <string.h>

enum { AWAY_LIMIT_MS = 120000, AWAY_RETRY_MS = 500 };

status_t sweep_watch_status(struct client *client, const char *sweep, json_t **status_json,
                            struct error *err)
{
    json_t *arguments = json_pack("{s:s}", "sweep", sweep);
    if (!arguments) return error_set(err, ST_BAD_INPUT, "the sweep's id is not valid UTF-8");
    const struct client_request request = {"status", arguments, true};
    const status_t status = client_ask(client, &request, status_json, err);
    json_decref(arguments);
    return status;
}

status_t sweep_watch_detach(struct cli *cli, const char *sweep, struct error *err)
{
    cli->was_interrupted = true;
    error_clear(err);
    return error_set(err, ST_CANCELLED,
                     "interrupted: the sweep goes on; `interpctl wait %s` waits again, "
                     "`interpctl cancel %s` ends it",
                     sweep, sweep);
}

static bool is_over(const json_t *status_json)
{
    enum sweep_state state;
    const char *name = json_field_text(status_json, "state", "");
    return sweep_state_parse(name, &state, NULL) == ST_OK && sweep_state_is_final(state);
}

static status_t verdict(const char *sweep, const json_t *status_json, struct error *err)
{
    const char *state = json_field_text(status_json, "state", "?");
    const char *reason = json_field_text(status_json, "reason", NULL);
    if (strcmp(state, sweep_state_name(SWEEP_FINISHED)) == 0) return ST_OK;
    return error_set(err, ST_CANCELLED, "sweep %s %s%s%s", sweep, state, reason ? ": " : "",
                     reason ? reason : "");
}

/* One look. ST_BUSY: not over yet, look again. */
struct watch {
    struct cli *cli;
    struct client *client;
    const struct sweep_watch_params *params;
    struct progress progress;
    int64_t away_since_ms; /* -1: the coordinator answers */
    bool was_there;
};

static status_t handle_away(struct watch *watch, int64_t now_ms, struct error *err)
{
    if (watch->away_since_ms < 0) watch->away_since_ms = now_ms;
    if (!watch->was_there || now_ms - watch->away_since_ms > AWAY_LIMIT_MS) return ST_UNREACHABLE;
    error_clear(err);
    if (!watch->params->is_quiet)
        progress_say(&watch->progress, "the coordinator is away, trying again", now_ms);
    (void)cli_sleep(watch->cli, AWAY_RETRY_MS);
    return ST_BUSY;
}

static status_t look(struct watch *watch, json_t **last, struct error *err)
{
    json_t *status_json = NULL;
    const status_t status =
        sweep_watch_status(watch->client, watch->params->sweep, &status_json, err);
    const int64_t now_ms = clock_monotonic_ms(watch->cli->clock);
    if (status == ST_UNREACHABLE) return handle_away(watch, now_ms, err);
    if (status != ST_OK) return status;
    watch->was_there = true;
    watch->away_since_ms = -1;
    if (!watch->params->is_quiet) progress_show(&watch->progress, status_json, now_ms);
    if (is_over(status_json)) {
        *last = status_json;
        return verdict(watch->params->sweep, status_json, err);
    }
    json_decref(status_json);
    return ST_BUSY;
}

status_t sweep_watch_wait(struct cli *cli, struct client *client,
                          const struct sweep_watch_params *params, json_t **last, struct error *err)
{
    struct watch watch = {.cli = cli, .client = client, .params = params, .away_since_ms = -1};
    const int64_t started_ms = clock_monotonic_ms(cli->clock);
    status_t status;
    *last = NULL;
    progress_init(&watch.progress, cli->err, cli->is_err_tty, cli->width);
    cli_catch_interrupt();
    for (;;) {
        status = *cli->interrupt ? ST_CANCELLED : look(&watch, last, err);
        const double waited_s = (double)(clock_monotonic_ms(cli->clock) - started_ms) / 1000;
        if (status != ST_BUSY || waited_s >= params->timeout_s) break;
        const double left_ms =
            isnan(params->timeout_s) ? 1e9 : (params->timeout_s - waited_s) * 1000;
        (void)cli_sleep(cli, (double)params->interval_ms < left_ms ? params->interval_ms
                                                                   : (int64_t)left_ms + 1);
    }
    progress_end(&watch.progress);
    if (*cli->interrupt) return sweep_watch_detach(cli, params->sweep, err);
    if (status != ST_BUSY) return status;
    return error_set(err, ST_TIMEOUT, "sweep %s has not ended after %g s; it goes on",
                     params->sweep, params->timeout_s);
}
