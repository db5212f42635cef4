/* Follow one sweep until it ends: the loop behind wait, submit --wait and status --watch.
 *
 * A coordinator that restarts meanwhile is waited for. SIGINT detaches: the sweep goes on. */
#ifndef COORDINATOR_CLI_SWEEP_WATCH_H
#define COORDINATOR_CLI_SWEEP_WATCH_H

#include "coordinator/cli/cli.h"

/* The coordinator's `status` of a sweep; the caller owns *status_json. */
MUST_CHECK status_t sweep_watch_status(struct client *client, const char *sweep,
                                       json_t **status_json, struct error *err);

struct sweep_watch_params {
    const char *sweep;
    double timeout_s;    /* NAN: no bound */
    int64_t interval_ms; /* between two looks */
    bool is_quiet;       /* no progress */
};

/* Wait until the sweep is finished, failed or cancelled. ST_OK only if it finished; then, and
 * when it ended otherwise, *last is its status (the caller's; NULL in all other cases).
 * Errors: ST_CANCELLED (failed, cancelled, or interrupted: cli->was_interrupted), ST_TIMEOUT,
 * ST_UNREACHABLE, ST_NOT_FOUND. */
MUST_CHECK status_t sweep_watch_wait(struct cli *cli, struct client *client,
                                     const struct sweep_watch_params *params, json_t **last,
                                     struct error *err);

/* The user pressed Ctrl-C: say that the sweep goes on and how to look at it. */
MUST_CHECK status_t sweep_watch_detach(struct cli *cli, const char *sweep, struct error *err);

#endif
