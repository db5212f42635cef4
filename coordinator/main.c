/* interp-coordinator: reads options, builds the objects, wires them, runs the loop, tears down
 * in reverse. One thread owns all state; HTTP threads and background threads send it messages. */
#include "common/clock.h"
#include "common/error.h"
#include "common/file.h"
#include "common/log.h"
#include "common/store.h"
#include "coordinator/api/api.h"
#include "coordinator/dispatch/background.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/dispatch/doorkeeper.h"
#include "coordinator/dispatch/leader.h"
#include "coordinator/gateway/call.h"
#include "coordinator/gateway/provider_config.h"
#include "coordinator/http/http_server.h"
#include "coordinator/options.h"
#include "coordinator/report/results_file.h"
#include "coordinator/sweep/probe_desk.h"
#include "coordinator/sweep/registry.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    STORE_TIMEOUT_MS = 5000,
    HEARTBEAT_MS = 500,
    LOST_AFTER_MS = 2000, /* DESIGN 7: a hung host is noticed within 2 s */
    STEP_MS = 50,
    RETRY_MS = 200,
    MAX_ATTEMPTS = 3,
    MAX_KILLS = 2
};
static const double lease_seconds = 3.0;
static const char api_endpoint[] = "inproc://api";

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

struct coordinator {
    struct coordinator_options options;
    const struct clock *clock;
    void *zmq_context;
    struct store *store;
    struct leader leader;
    struct call_client *calls;
    struct provider_config *providers;
    struct background *background;
    struct key key;
    struct doorkeeper *doorkeeper; /* NULL: no keys */
    struct dispatcher *dispatcher;
    struct registry *registry;
    struct probe_desk *probes;
    struct http_server *http;
    struct history *history;
    struct sweep_cache cache;
    struct api api;
    int64_t next_point_ms;
};

static status_t catch_signals(struct error *err)
{
    struct sigaction action = {.sa_handler = on_signal};
    if (sigemptyset(&action.sa_mask) != 0 || sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0)
        return error_set(err, ST_INTERNAL, "signal handlers");
    (void)signal(SIGPIPE, SIG_IGN);
    return ST_OK;
}

static void pause_ms(int ms)
{
    const struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* --- start --------------------------------------------------------------------------------- */

/* Redis may come up after us: wait for it, saying so once. */
static status_t wait_for_store(struct coordinator *self, struct error *err)
{
    for (bool said = false; !stop_signal; pause_ms(RETRY_MS)) {
        struct error problem = {0};
        const status_t status =
            store_open(&self->store, self->options.store_url, STORE_TIMEOUT_MS, &problem);
        if (status == ST_OK) return ST_OK;
        if (status != ST_UNREACHABLE) return error_set(err, status, "%s", problem.text);
        if (!said) log_event(LOG_WARN, "store_away", LOG_TEXT("error", problem.text));
        said = true;
    }
    return error_set(err, ST_CANCELLED, "stopped while waiting for Redis");
}

static status_t wait_for_leadership(struct coordinator *self, struct error *err)
{
    status_t status = leader_init(&self->leader, self->store, self->clock, err);
    for (bool said = false; status == ST_OK && !stop_signal; pause_ms(RETRY_MS)) {
        struct error problem = {0};
        status = leader_take(&self->leader, &problem);
        if (status == ST_UNREACHABLE) status = ST_OK;
        if (status != ST_OK) return error_set(err, status, "%s", problem.text);
        if (self->leader.epoch) return ST_OK;
        if (!said) log_event(LOG_INFO, "standby", LOG_TEXT("reason", "another one leads"));
        said = true;
    }
    return status == ST_OK ? error_set(err, ST_CANCELLED, "stopped while standing by") : status;
}

static status_t make_data_directories(struct coordinator *self, struct error *err)
{
    char *sweeps = file_join(self->options.data_directory, "sweeps");
    if (!sweeps) return error_set(err, ST_NO_MEMORY, "data directory");
    const status_t status = file_make_directories(sweeps, err);
    free(sweeps);
    return status;
}

static status_t load_providers(struct coordinator *self, struct error *err)
{
    if (!self->options.providers_file) return ST_OK;
    return provider_config_load(&self->providers, self->options.providers_file, err);
}

static const char *store_label(const char *url)
{
    const char *at = strrchr(url, '@');
    return at ? at + 1 : url;
}

static status_t open_doorkeeper(struct coordinator *self, struct error *err)
{
    if (!self->options.key_file) return ST_OK;
    const struct doorkeeper_options options = {.zmq_context = self->zmq_context,
                                               .allow_directory = self->options.allow_directory,
                                               .clock = self->clock};
    const status_t status = key_load_secret(self->options.key_file, &self->key, err);
    return status == ST_OK ? doorkeeper_start(&self->doorkeeper, &options, err) : status;
}

static status_t open_dispatcher(struct coordinator *self, struct error *err)
{
    const char *endpoints[COORDINATOR_ENDPOINTS_MAX + 1];
    memcpy(endpoints, self->options.endpoints, sizeof self->options.endpoints);
    endpoints[self->options.n_endpoints] = api_endpoint;
    const struct dispatcher_options options = {
        .zmq_context = self->zmq_context,
        .endpoints = endpoints,
        .n_endpoints = self->options.n_endpoints + 1,
        .key = self->doorkeeper ? &self->key : NULL,
        .store_url = self->options.store_url,
        .store = self->store,
        .clock = self->clock,
        .leader = &self->leader,
        .epoch = self->leader.epoch,
        .heartbeat_ms = HEARTBEAT_MS,
        .lost_after_ms = LOST_AFTER_MS,
        .lease_seconds = lease_seconds,
        .limits = {MAX_ATTEMPTS, MAX_KILLS},
        .on_request = api_answer,
        .is_reading = api_is_reading,
        .request_context = &self->api,
    };
    return dispatcher_create(&self->dispatcher, &options, err);
}

static status_t open_registry(struct coordinator *self, struct error *err)
{
    const struct sweep_context context = {
        .dispatcher = self->dispatcher,
        .background = self->background,
        .store = self->store,
        .leader = &self->leader,
        .calls = self->calls,
        .clock = self->clock,
        .data_directory = self->options.data_directory,
        .prompts_directory = self->options.prompts_directory,
        .captures_max_bytes = self->options.captures_max_bytes,
        .checkpoint_bytes = self->options.checkpoint_bytes,
        .providers = self->providers,
        .history = self->history,
        .cache = &self->cache,
    };
    status_t status = registry_create(&self->registry, &context, err);
    if (status == ST_OK)
        status = probe_desk_create(&self->probes, self->dispatcher, self->store, self->clock, err);
    if (status != ST_OK) return status;
    self->api = (struct api){.registry = self->registry,
                             .dispatcher = self->dispatcher,
                             .probes = self->probes,
                             .store = self->store,
                             .providers = self->providers,
                             .history = self->history,
                             .clock = self->clock,
                             .epoch = self->leader.epoch,
                             .started_unix_ms = clock_unix_ms(self->clock),
                             .store_label = store_label(self->options.store_url),
                             .is_store_up = true};
    return registry_load(self->registry, err);
}

static status_t open_http(struct coordinator *self, struct error *err)
{
    if (!self->options.http_listen) return ST_OK;
    const struct http_server_options options = {.zmq_context = self->zmq_context,
                                                .api_endpoint = api_endpoint,
                                                .listen = self->options.http_listen};
    status_t status = http_server_start(&self->http, &options, err);
    if (status != ST_OK) return status;
    const char *address = http_server_address(self->http);
    char *path = file_join(self->options.data_directory, "http-address");
    status = path ? file_write_atomic(path, address, strlen(address), err)
                  : error_set(err, ST_NO_MEMORY, "http-address");
    free(path);
    log_event(LOG_INFO, "page", LOG_TEXT("address", address));
    return status;
}

static status_t start(struct coordinator *self, struct error *err)
{
    self->clock = clock_system();
    self->zmq_context = zmq_ctx_new();
    self->history = calloc(1, sizeof *self->history);
    if (!self->zmq_context || !self->history) return error_set(err, ST_NO_MEMORY, "start");
    status_t status = catch_signals(err);
    if (status == ST_OK) status = make_data_directories(self, err);
    if (status == ST_OK) status = load_providers(self, err);
    if (status == ST_OK) status = open_doorkeeper(self, err);
    if (status == ST_OK) status = wait_for_store(self, err);
    if (status == ST_OK) status = wait_for_leadership(self, err);
    if (status == ST_OK) status = call_client_create(&self->calls, self->store, err);
    if (status == ST_OK)
        status = background_create(&self->background, self->options.n_background, err);
    if (status == ST_OK) status = open_dispatcher(self, err);
    if (status == ST_OK) status = open_registry(self, err);
    if (status == ST_OK) status = open_http(self, err);
    return status;
}

/* --- run ----------------------------------------------------------------------------------- */

static void sample_history(struct coordinator *self)
{
    const int64_t now_ms = clock_monotonic_ms(self->clock);
    if (now_ms < self->next_point_ms) return;
    self->next_point_ms = now_ms + HISTORY_EVERY_MS;
    const struct history_point point = api_history_point(&self->api);
    history_add_point(self->history, &point);
}

/* One round: wires, engines, background results, leadership. */
static status_t run_once(struct coordinator *self, struct error *err)
{
    const bool is_busy = background_n_pending(self->background) > 0;
    status_t status = leader_keep(&self->leader, err);
    if (status == ST_OK)
        status = dispatcher_step(self->dispatcher, STEP_MS,
                                 is_busy ? background_fd(self->background) : -1, err);
    (void)background_collect(self->background);
    if (status == ST_OK) status = registry_step(self->registry, err);
    if (status == ST_OK) status = probe_desk_step(self->probes, err);
    if (status == ST_OK) status = dispatcher_grant(self->dispatcher, err);
    if (status == ST_OK) sample_history(self);
    return status;
}

static void note_store(struct coordinator *self, bool is_up, const struct error *problem)
{
    if (is_up == self->api.is_store_up) return;
    self->api.is_store_up = is_up;
    if (is_up)
        log_event(LOG_INFO, "store_back", LOG_TEXT("store", self->api.store_label));
    else
        log_event(LOG_WARN, "store_away", LOG_TEXT("error", problem->text));
}

static status_t run(struct coordinator *self, struct error *err)
{
    while (!stop_signal) {
        struct error problem = {0};
        const status_t status = run_once(self, &problem);
        note_store(self, status != ST_UNREACHABLE, &problem);
        if (status == ST_CONFLICT) return error_set(err, status, "%s", problem.text);
        if (status == ST_UNREACHABLE) dispatcher_listen(self->dispatcher, RETRY_MS);
        if (status != ST_OK && status != ST_UNREACHABLE) {
            log_event(LOG_ERROR, "loop", LOG_TEXT("error", problem.text));
            pause_ms(STEP_MS);
        }
    }
    return ST_OK;
}

/* --- stop ---------------------------------------------------------------------------------- */

static void stop(struct coordinator *self)
{
    http_server_stop(&self->http);
    background_destroy(&self->background); /* its jobs' done() still find their sweeps */
    if (self->dispatcher) dispatcher_close(self->dispatcher); /* workers keep computing */
    probe_desk_destroy(&self->probes);
    registry_destroy(&self->registry);
    results_file_close(&self->cache.results);
    dispatcher_destroy(&self->dispatcher);
    doorkeeper_stop(&self->doorkeeper);
    call_client_destroy(&self->calls);
    if (self->store) leader_release(&self->leader);
    store_close(&self->store);
    provider_config_destroy(&self->providers);
    free(self->history);
    if (self->zmq_context) (void)zmq_ctx_term(self->zmq_context);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct coordinator self = {0};
    if (coordinator_options_parse(argc, argv, &self.options, &err) != ST_OK) {
        (void)fprintf(stderr, "interp-coordinator: %s\n%s", err.text, coordinator_usage());
        return status_exit_code(ST_BAD_INPUT);
    }
    log_init("interp-coordinator", (enum log_level)self.options.log_level, 2);
    status_t status = start(&self, &err);
    if (status == ST_OK) {
        log_event(LOG_INFO, "ready", LOG_NUMBER("epoch", self.leader.epoch));
        status = run(&self, &err);
    }
    if (status != ST_OK) log_event(LOG_ERROR, "coordinator_failed", LOG_TEXT("error", err.text));
    stop(&self);
    return status_exit_code(status);
}
