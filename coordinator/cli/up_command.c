/* up, down and what up leaves running. */
#include "coordinator/cli/cluster_down.h"
#include "coordinator/cli/cluster_ready.h"
#include "coordinator/cli/cluster_stop.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/document.h"
#include "coordinator/cli/process_file.h"
#include "coordinator/cli/process_start.h"
#include "coordinator/cli/supervisor.h"

#include "common/log.h"
#include "coordinator/gateway/provider_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READY_S = 60, STOP_BOUND_S = 90, LOOK_MS = 50, MAX_OWN_ARGUMENTS = 28 };

/* --- the supervisor ------------------------------------------------------------------------ */

status_t supervise_command(struct cli *cli, const struct cli_arguments *arguments,
                           struct error *err)
{
    struct cluster_paths paths;
    struct cluster_options options;
    (void)cli;
    status_t status = cluster_paths_init(&paths, arguments->state, err);
    if (status == ST_OK) status = cluster_paths_create(&paths, err);
    if (status == ST_OK) status = cluster_options_init(&options, arguments, NULL, &paths, err);
    if (status != ST_OK) return status;
    log_init("interp-supervisor", LOG_INFO, STDERR_FILENO);
    status = supervisor_run(&options, &paths, err);
    if (status != ST_OK) log_event(LOG_ERROR, "supervisor_failed", LOG_TEXT("error", err->text));
    return status;
}

static status_t start_supervisor(const struct cluster_options *options,
                                 const struct cluster_paths *paths, bool is_foreground,
                                 struct error *err)
{
    char self[CLUSTER_PATH_SIZE], log_path[CLUSTER_PATH_SIZE];
    char workers[24], gateways[24], port[24], gib[40];
    pid_t pid;
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return error_set(err, ST_IO, "/proc/self/exe cannot be read");
    self[n] = '\0';
    (void)snprintf(workers, sizeof workers, "%zu", options->n_workers);
    (void)snprintf(gateways, sizeof gateways, "%zu", options->n_gateways);
    (void)snprintf(port, sizeof port, "%u", options->port);
    (void)snprintf(gib, sizeof gib, "%.17g", options->captures_max_gib);
    const char *argv[MAX_OWN_ARGUMENTS] = {self,         "supervise",    "--state",
                                           paths->state, "--workers",    workers,
                                           "--gateways", gateways,       "--port",
                                           port,         "--durability", options->durability,
                                           "--log",      options->log,   "--captures-max-gib",
                                           gib};
    size_t n_argv = 16;
    if (options->compute_on[0]) {
        argv[n_argv++] = "--backend";
        argv[n_argv++] = options->compute_on;
    }
    if (options->providers[0]) {
        argv[n_argv++] = "--providers";
        argv[n_argv++] = options->providers;
    }
    if (options->listen[0]) {
        const char *const more[] = {"--listen",          options->listen, "--listen-key",
                                    options->listen_key, "--allow",       options->allow};
        memcpy(argv + n_argv, more, sizeof more);
    }
    const struct process_start start = {.argv = argv,
                                        .log_path =
                                            cluster_path(paths, "logs/supervisor.log", log_path),
                                        .is_daemon = !is_foreground,
                                        .dies_with_parent = is_foreground};
    return process_start(&start, &pid, err);
}

/* --- down ---------------------------------------------------------------------------------- */

/* Tell the supervisor to stop everything and wait until it has. False: there is none. */
static bool stop_supervisor(const struct cli *cli, const struct cluster_paths *paths)
{
    char path[CLUSTER_PATH_SIZE];
    struct process_identity supervisor;
    const int64_t until_ms = clock_monotonic_ms(cli->clock) + STOP_BOUND_S * 1000;
    if (process_file_read(cluster_path(paths, "run/supervisor.pid", path), &supervisor, NULL) !=
            ST_OK ||
        !process_signal(&supervisor, SIGTERM))
        return false;
    while (process_is_alive(&supervisor) && clock_monotonic_ms(cli->clock) < until_ms) {
        const struct timespec pause = {0, LOOK_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    if (process_is_alive(&supervisor)) (void)process_signal(&supervisor, SIGKILL);
    return true;
}

static status_t stop_cluster(const struct cli *cli, const struct cluster_paths *paths,
                             size_t *n_stopped, struct error *err)
{
    const size_t n_running = cluster_count_running(paths);
    const bool had_supervisor = stop_supervisor(cli, paths);
    const status_t status = cluster_stop(paths, cli->err, n_stopped, err);
    if (*n_stopped < n_running) *n_stopped = n_running;
    if (had_supervisor && *n_stopped == 0) *n_stopped = 1;
    return status;
}

status_t down_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct cluster_paths paths;
    size_t n_stopped = 0;
    status_t status = cluster_paths_init(&paths, arguments->state, err);
    if (status == ST_OK) status = stop_cluster(cli, &paths, &n_stopped, err);
    if (status != ST_OK) return status;
    if (n_stopped)
        (void)fprintf(cli->err, "stopped; sweeps and results stay in %s, `interpctl up` goes on\n",
                      paths.state);
    else
        (void)fprintf(cli->err, "nothing is running in %s\n", paths.state);
    if (arguments->format != CLI_FORMAT_JSON) return ST_OK;
    return document_print_new(
        cli->out, "Stop",
        json_pack("{s:s, s:I}", "state", paths.state, "n_stopped", (json_int_t)n_stopped), err);
}

/* --- up ------------------------------------------------------------------------------------ */

/* A gateway asks nobody whose key it has not: said before a sweep waits for it. */
static status_t check_provider_keys(const struct cli *cli, const struct provider_config *config,
                                    struct error *err)
{
    struct error problems[PROVIDERS_MAX] = {{.status = ST_OK}};
    size_t n_missing = 0;
    for (size_t i = 0; i < config->n_providers; i++) {
        char key[PROVIDER_KEY_MAX];
        n_missing += provider_read_key(&config->providers[i], key, &problems[i]) != ST_OK;
        memset(key, 0, sizeof key);
    }
    if (n_missing == config->n_providers)
        return error_set(err, ST_BAD_INPUT, "%s, and no other provider is there", problems[0].text);
    for (size_t i = 0; i < config->n_providers; i++)
        if (problems[i].status != ST_OK)
            (void)fprintf(cli->err, "warning: %s: nobody asks it until a cluster has the key\n",
                          problems[i].text);
    return ST_OK;
}

static status_t check_providers(const struct cli *cli, const char *path, struct error *err)
{
    struct provider_config *providers = NULL;
    status_t status = provider_config_load(&providers, path, err);
    if (status == ST_OK) status = check_provider_keys(cli, providers, err);
    provider_config_destroy(&providers);
    return status;
}

static status_t check_input(const struct cli *cli, const struct cluster_options *options,
                            struct error *err)
{
    static const char *const programs[] = {"redis-server", "interp-coordinator", "interp-worker",
                                           "interp-gateway"};
    char path[CLUSTER_PATH_SIZE];
    status_t status = ST_OK;
    const size_t n = options->n_gateways ? 4 : 3;
    for (size_t i = 0; i < n && status == ST_OK; i++)
        status = cluster_find_program(programs[i], path, err);
    return status == ST_OK && options->providers[0] ? check_providers(cli, options->providers, err)
                                                    : status;
}

static void print_running(const struct cli *cli, const struct cluster_paths *paths,
                          const char *listen)
{
    char path[CLUSTER_PATH_SIZE], page[256];
    const bool has_page = cluster_ready_page(paths, page, sizeof page);
    (void)fprintf(cli->out, "endpoint  %s\n", paths->coordinator_endpoint);
    if (listen[0]) (void)fprintf(cli->out, "listen    %s\n", listen);
    if (has_page) (void)fprintf(cli->out, "page      %s\n", page);
    (void)fprintf(cli->out, "logs      %s\n", cluster_path(paths, "logs", path));
    (void)fprintf(cli->out, "stop      interpctl down --state %s\n", paths->state);
    (void)fflush(cli->out);
}

/* What is there, and which workers are not. */
static void tell_running(const struct cli *cli, const struct cluster_paths *paths,
                         const char *listen)
{
    json_t *status = cluster_ready_status(paths);
    cluster_down_tell(cli->err, status, paths);
    json_decref(status);
    print_running(cli, paths, listen);
}

/* --foreground: stay until a signal, or until the supervisor is gone. */
static status_t stay(struct cli *cli, const struct cluster_paths *paths, struct error *err)
{
    size_t n_stopped = 0;
    (void)fprintf(cli->err, "running; Ctrl-C stops it\n");
    while (cli_sleep(cli, LOOK_MS) && supervisor_is_running(paths)) {
    }
    if (!*cli->interrupt)
        return error_set(err, ST_INTERNAL, "the supervisor ended: see %s/logs/supervisor.log",
                         paths->state);
    return stop_cluster(cli, paths, &n_stopped, err);
}

static status_t start_cluster(struct cli *cli, const struct cluster_options *options,
                              const struct cluster_paths *paths,
                              const struct cli_arguments *arguments, struct error *err)
{
    size_t n_stopped = 0;
    const double bound_s = isnan(arguments->timeout_s) ? READY_S : arguments->timeout_s;
    char path[CLUSTER_PATH_SIZE];
    cli_catch_interrupt();
    (void)unlink(cluster_path(paths, "run/status.json", path)); /* of a supervisor that died */
    status_t status = start_supervisor(options, paths, arguments->foreground, err);
    if (status != ST_OK) return status;
    status = cluster_ready_wait(cli, options, paths, bound_s, err);
    if (status == ST_OK) return ST_OK;
    cli->was_interrupted = *cli->interrupt != 0;
    struct error ignored = {0};
    if (stop_cluster(cli, paths, &n_stopped, &ignored) != ST_OK)
        (void)fprintf(cli->err, "interpctl: %s\n", ignored.text);
    return status;
}

/* cluster.yaml: the one given, else the state directory's, else none. */
static status_t load_config(struct cluster_config **out, const struct cli_arguments *arguments,
                            struct cluster_paths *paths, struct error *err)
{
    char path[CLUSTER_PATH_SIZE];
    status_t status = ST_OK;
    if (arguments->config) status = cluster_config_load(out, arguments->config, err);
    const char *state = arguments->state || !*out ? arguments->state : (*out)->state;
    if (status == ST_OK) status = cluster_paths_init(paths, state, err);
    if (status == ST_OK && !*out && access(cluster_path(paths, "cluster.yaml", path), F_OK) == 0)
        status = cluster_config_load(out, path, err);
    return status;
}

static status_t bring_up(struct cli *cli, const struct cli_arguments *arguments,
                         const struct cluster_config *config, const struct cluster_paths *paths,
                         struct error *err)
{
    struct cluster_options options;
    status_t status = cluster_paths_create(paths, err);
    if (status == ST_OK && supervisor_is_running(paths)) {
        (void)fprintf(cli->err, "already running in %s; these options were not applied\n",
                      paths->state);
        tell_running(cli, paths, "");
        return ST_OK;
    }
    if (status == ST_OK) status = cluster_options_init(&options, arguments, config, paths, err);
    if (status == ST_OK) status = check_input(cli, &options, err);
    if (status == ST_OK && options.why_cpu.status != ST_OK)
        (void)fprintf(cli->err, "workers compute on the CPU: %s\n", options.why_cpu.text);
    if (status == ST_OK) status = start_cluster(cli, &options, paths, arguments, err);
    if (status != ST_OK) return status;
    tell_running(cli, paths, options.listen);
    return arguments->foreground ? stay(cli, paths, err) : ST_OK;
}

status_t up_command(struct cli *cli, const struct cli_arguments *arguments, struct error *err)
{
    struct cluster_config *config = NULL;
    struct cluster_paths paths;
    status_t status = load_config(&config, arguments, &paths, err);
    if (status == ST_OK) status = bring_up(cli, arguments, config, &paths, err);
    cluster_config_destroy(&config);
    return status;
}
