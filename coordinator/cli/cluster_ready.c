#include "coordinator/cli/cluster_ready.h"

#include "common/file.h"
#include "coordinator/cli/cluster_down.h"
#include "coordinator/cli/json_field.h"
#include "coordinator/cli/process_log.h"
#include "coordinator/cli/supervisor.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 50,
    ASK_TIMEOUT_MS = 2000,
    STATUS_MAX_BYTES = 1 << 20,
    PAGE_MAX_BYTES = 256,
    SUPERVISOR_GRACE_MS = 3000
};

bool cluster_ready_page(const struct cluster_paths *paths, char *out, size_t cap)
{
    char path[CLUSTER_PATH_SIZE], *text = NULL;
    if (file_read(cluster_path(paths, "data/http-address", path), PAGE_MAX_BYTES, &text, NULL,
                  NULL) != ST_OK)
        return false;
    text[strcspn(text, "\r\n")] = '\0';
    const bool is_url = strncmp(text, "http", 4) == 0;
    const int n = snprintf(out, cap, "%s%s", is_url ? "" : "http://", text);
    free(text);
    return n > 0 && (size_t)n < cap;
}

json_t *cluster_ready_status(const struct cluster_paths *paths)
{
    char path[CLUSTER_PATH_SIZE], *text = NULL;
    size_t n = 0;
    if (file_read(cluster_path(paths, "run/status.json", path), STATUS_MAX_BYTES, &text, &n,
                  NULL) != ST_OK)
        return NULL;
    json_t *status = json_loadb(text, n, 0, NULL);
    free(text);
    return status;
}

struct readiness {
    struct cli *cli;
    const struct cluster_options *options;
    const struct cluster_paths *paths;
    struct client *client;
    int64_t started_ms;
    bool is_up[CLUSTER_N_STAGES];
};

/* The supervisor's own row for one process: NULL until it has written one. */
static const json_t *find_member(const json_t *status, const char *name)
{
    const json_t *members = json_field(status, "processes");
    for (size_t i = 0; i < json_array_size(members); i++)
        if (strcmp(json_field_text(json_array_get(members, i), "name", ""), name) == 0)
            return json_array_get(members, i);
    return NULL;
}

static bool is_member_running(const json_t *status, const char *name)
{
    return strcmp(json_field_text(find_member(status, name), "state", ""), "running") == 0;
}

/* A process that says its input is wrong will say so again: no use in waiting. */
static status_t check_refused(const struct readiness *self, const json_t *status, struct error *err)
{
    const json_t *members = json_field(status, "processes");
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        const char *name = json_field_text(member, "name", "");
        char line[ERROR_TEXT_MAX];
        if (strcmp(json_field_text(member, "state", ""), "refused") != 0) continue;
        process_log_last_line(self->paths, name, line, sizeof line);
        return error_set(err, ST_BAD_INPUT, "%s does not start: %s", name, line);
    }
    return ST_OK;
}

static void note(struct readiness *self, enum cluster_stage stage, const char *what)
{
    const double s = (double)(clock_monotonic_ms(self->cli->clock) - self->started_ms) / 1000;
    if (self->is_up[stage]) return;
    self->is_up[stage] = true;
    (void)fprintf(self->cli->err, "%-24s ready after %.1f s\n", what, s);
    (void)fflush(self->cli->err);
}

static bool ask(struct readiness *self, const char *operation, json_t **answer)
{
    const struct client_request request = {operation, NULL, true};
    return client_ask(self->client, &request, answer, NULL) == ST_OK;
}

static size_t count_running(const json_t *status, const char *prefix, size_t n)
{
    size_t n_running = 0;
    for (size_t i = 1; i <= n; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "%s-%zu", prefix, i);
        n_running += is_member_running(status, name);
    }
    return n_running;
}

/* Those that stay down are not waited for. */
static void look_at_workers(struct readiness *self, const json_t *status)
{
    const size_t n_wanted = self->options->n_workers, n_down = cluster_down_count(status);
    json_t *answer = NULL;
    char what[40];
    if (!ask(self, "workers", &answer)) return;
    const size_t n = json_array_size(json_field(answer, "workers"));
    if (n_down)
        (void)snprintf(what, sizeof what, "%zu of %zu workers", n, n_wanted);
    else
        (void)snprintf(what, sizeof what, "%zu worker%s", n_wanted, n_wanted == 1 ? "" : "s");
    if (n + n_down >= n_wanted) note(self, CLUSTER_WORKER, what);
    json_decref(answer);
}

static void look(struct readiness *self, const json_t *status)
{
    json_t *answer = NULL;
    char what[40];
    const size_t n_gateways = self->options->n_gateways;
    if (!is_member_running(status, "redis") || !is_member_running(status, "coordinator")) return;
    note(self, CLUSTER_REDIS, "redis"); /* the coordinator is started only once it answers */
    if (!self->is_up[CLUSTER_COORDINATOR] && ask(self, "ping", &answer))
        note(self, CLUSTER_COORDINATOR, "coordinator");
    json_decref(answer);
    if (!self->is_up[CLUSTER_COORDINATOR]) return;
    (void)snprintf(what, sizeof what, "%zu gateway%s", n_gateways, n_gateways == 1 ? "" : "s");
    if (n_gateways == 0)
        self->is_up[CLUSTER_GATEWAY] = true;
    else if (count_running(status, "gateway", n_gateways) == n_gateways)
        note(self, CLUSTER_GATEWAY, what);
    look_at_workers(self, status);
}

static bool is_all_up(const struct readiness *self)
{
    for (size_t i = 0; i < CLUSTER_N_STAGES; i++)
        if (!self->is_up[i]) return false;
    return true;
}

static status_t too_late(const struct readiness *self, double bound_s, struct error *err)
{
    static const char *const names[CLUSTER_N_STAGES] = {"redis", "coordinator", "gateway-1",
                                                        "worker-1"};
    size_t stage = 0;
    char line[ERROR_TEXT_MAX];
    while (stage + 1 < CLUSTER_N_STAGES && self->is_up[stage]) stage++;
    process_log_last_line(self->paths, names[stage], line, sizeof line);
    return error_set(err, ST_TIMEOUT, "%s is not ready after %g s; its log %s/logs/%s.log ends: %s",
                     names[stage], bound_s, self->paths->state, names[stage], line);
}

static status_t step(struct readiness *self, double bound_s, struct error *err)
{
    const int64_t waited_ms = clock_monotonic_ms(self->cli->clock) - self->started_ms;
    json_t *status_json = cluster_ready_status(self->paths);
    status_t status = check_refused(self, status_json, err);
    if (status == ST_OK)
        status = cluster_down_check(status_json, self->paths, self->options->n_workers, err);
    if (status == ST_OK) look(self, status_json);
    json_decref(status_json);
    if (status != ST_OK || is_all_up(self)) return status;
    if (waited_ms > SUPERVISOR_GRACE_MS && !supervisor_is_running(self->paths))
        return error_set(err, ST_INTERNAL, "the supervisor ended: see %s/logs/supervisor.log",
                         self->paths->state);
    if ((double)waited_ms > bound_s * 1000) return too_late(self, bound_s, err);
    if (!cli_sleep(self->cli, LOOK_MS))
        return error_set(err, ST_CANCELLED, "interrupted: stopping what was started");
    return ST_BUSY;
}

status_t cluster_ready_wait(struct cli *cli, const struct cluster_options *options,
                            const struct cluster_paths *paths, double bound_s, struct error *err)
{
    struct readiness self = {.cli = cli,
                             .options = options,
                             .paths = paths,
                             .started_ms = clock_monotonic_ms(cli->clock)};
    const struct client_params params = {.endpoint = paths->coordinator_endpoint,
                                         .timeout_ms = ASK_TIMEOUT_MS,
                                         .interrupt = cli->interrupt};
    status_t status = client_open(&self.client, &params, err);
    if (status == ST_OK)
        while ((status = step(&self, bound_s, err)) == ST_BUSY) {
        }
    client_close(&self.client);
    return status;
}
