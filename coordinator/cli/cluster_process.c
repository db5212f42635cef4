#define _GNU_SOURCE /* sched_getaffinity, realpath */
#include "coordinator/cli/cluster_process.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/key_file.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REDIS_CONF_MAX_BYTES = 16 * 1024, GATEWAY_DRAIN_SECONDS = 5 };

/* --- programs ------------------------------------------------------------------------------ */

static bool is_executable(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* "directory of this program / relative", if it fits. */
static bool beside(const char *relative, char out[CLUSTER_PATH_SIZE])
{
    char self[CLUSTER_PATH_SIZE];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return false;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash) return false;
    *slash = '\0';
    return (size_t)snprintf(out, CLUSTER_PATH_SIZE, "%s/%s", self, relative) < CLUSTER_PATH_SIZE;
}

static bool in_path(const char *name, char out[CLUSTER_PATH_SIZE])
{
    const char *path = getenv("PATH");
    while (path && *path) {
        const size_t n = strcspn(path, ":");
        const int written = snprintf(out, CLUSTER_PATH_SIZE, "%.*s/%s", (int)n, path, name);
        if (n && written < CLUSTER_PATH_SIZE && is_executable(out)) return true;
        path += n + (path[n] == ':');
    }
    return false;
}

status_t cluster_find_program(const char *name, char out[CLUSTER_PATH_SIZE], struct error *err)
{
    if (beside(name, out) && is_executable(out)) return ST_OK;
    if (in_path(name, out)) return ST_OK;
    if (strcmp(name, "redis-server") == 0)
        return error_set(err, ST_NOT_FOUND,
                         "redis-server is not installed (Debian: apt-get install redis-server)");
    return error_set(err, ST_NOT_FOUND, "%s is neither beside interpctl nor in PATH", name);
}

/* --- options ------------------------------------------------------------------------------- */

static size_t count_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int n = CPU_COUNT(&set);
    return n > 0 ? (size_t)n : 1;
}

static status_t find_file(char out[CLUSTER_PATH_SIZE], const char *what, const char *path,
                          struct error *err)
{
    char *real = realpath(path, NULL);
    if (!real) return error_set(err, ST_NOT_FOUND, "%s %s: %s", what, path, strerror(errno));
    const int n = snprintf(out, CLUSTER_PATH_SIZE, "%s", real);
    free(real);
    if (n < 0 || n >= CLUSTER_PATH_SIZE)
        return error_set(err, ST_BAD_INPUT, "%s: path too long", what);
    return ST_OK;
}

/* --providers, else the configuration's, else providers.yaml in the state directory. */
static status_t find_providers(struct cluster_options *out, const char *given,
                               const struct cluster_paths *paths, struct error *err)
{
    char path[CLUSTER_PATH_SIZE];
    if (!given && access(cluster_path(paths, "providers.yaml", path), F_OK) != 0) return ST_OK;
    return find_file(out->providers, "providers", given ? given : path, err);
}

/* For other machines, with keys always: a cluster without them is for those who start its programs
 * by hand. */
static status_t find_listen(struct cluster_options *out, const struct cli_arguments *arguments,
                            const struct cluster_config *config, struct error *err)
{
    const char *listen = arguments->listen ? arguments->listen : config->listen;
    const char *key = arguments->listen_key ? arguments->listen_key : config->listen_key;
    const char *allow = arguments->allow ? arguments->allow : config->allow;
    if (!listen && !key && !allow) return ST_OK;
    if (!listen || !key || !allow)
        return error_set(err, ST_BAD_INPUT,
                         "listen, listen-key and allow go together: %s is missing",
                         !listen ? "--listen"
                         : !key  ? "--listen-key"
                                 : "--allow");
    struct key ignored;
    if (snprintf(out->listen, sizeof out->listen, "%s", listen) >= (int)sizeof out->listen)
        return error_set(err, ST_BAD_INPUT, "--listen: too long");
    status_t status = find_file(out->listen_key, "listen-key", key, err);
    if (status == ST_OK) status = find_file(out->allow, "allow", allow, err);
    return status == ST_OK ? key_load_secret(out->listen_key, &ignored, err) : status;
}

static status_t find_backend(struct cluster_options *out, const struct cli_arguments *arguments,
                             const struct cluster_config *config, struct error *err)
{
    const char *environment = getenv("INTERP_BACKEND");
    const struct {
        const char *name, *said_by;
    } places[] = {{arguments->backend, "--backend"},
                  {environment && *environment ? environment : NULL, "INTERP_BACKEND"},
                  {config->backend, "cluster.yaml"}};
    const size_t n_places = sizeof places / sizeof places[0];
    size_t at = 0;
    while (at < n_places && !places[at].name) at++;
    if (at == n_places) return ST_OK;
    const char *wanted = places[at].name;
    if (!cluster_is_backend(wanted) || strlen(wanted) >= sizeof out->compute_on)
        return error_set(err, ST_BAD_INPUT,
                         "backend '%s' (%s) is not auto, cpu, cuda, cuda:N, cuda:UUID or emu",
                         wanted, places[at].said_by);
    const status_t status =
        cluster_find_devices(wanted, out->backend, &out->n_devices, &out->why_cpu, err);
    if (strcmp(wanted, "auto") == 0) wanted = out->n_devices ? out->backend : "cpu";
    (void)snprintf(out->compute_on, sizeof out->compute_on, "%s", wanted);
    return status;
}

static size_t choose_count(int64_t given, uint32_t configured, size_t otherwise)
{
    if (given >= 0) return (size_t)given;
    return configured ? configured : otherwise;
}

static const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return (unsigned)level < sizeof names / sizeof names[0] ? names[level] : "info";
}

status_t cluster_options_init(struct cluster_options *out, const struct cli_arguments *arguments,
                              const struct cluster_config *config,
                              const struct cluster_paths *paths, struct error *err)
{
    const struct cluster_config none = {.durability = CLUSTER_EVERYSEC, .log = LOG_INFO};
    if (!config) config = &none;
    *out = (struct cluster_options){
        .port = arguments->port < 0 ? config->port : (unsigned)arguments->port,
        .durability = arguments->durability ? arguments->durability
                                            : cluster_durability_name(config->durability),
        .log = arguments->log ? arguments->log : log_level_name(config->log),
        .captures_max_gib = isnan(arguments->captures_max_gib) ? config->captures_max_gib
                                                               : arguments->captures_max_gib,
    };
    if (!(out->captures_max_gib >= 0 && out->captures_max_gib <= 1e6))
        return error_set(err, ST_BAD_INPUT, "--captures-max-gib %g: from 0 (no limit) to 1000000",
                         out->captures_max_gib);
    status_t status = find_providers(
        out, arguments->providers ? arguments->providers : config->providers, paths, err);
    if (status == ST_OK) status = find_listen(out, arguments, config, err);
    if (status != ST_OK) return status;
    status = find_backend(out, arguments, config, err);
    if (status != ST_OK) return status;
    out->n_workers = choose_count(arguments->workers, config->workers,
                                  out->n_devices ? out->n_devices : count_cores());
    out->n_gateways =
        choose_count(arguments->gateways, config->gateways, out->providers[0] ? 1 : 0);
    if (out->n_gateways && !out->providers[0])
        return error_set(err, ST_BAD_INPUT, "gateways need --providers FILE");
    return ST_OK;
}

static void name_process(struct cluster_process *process, enum cluster_stage stage, size_t number)
{
    static const char *const names[CLUSTER_N_STAGES] = {"redis", "coordinator", "gateway",
                                                        "worker"};
    process->stage = stage;
    process->number = number;
    if (number)
        (void)snprintf(process->name, sizeof process->name, "%s-%zu", names[stage], number);
    else
        (void)snprintf(process->name, sizeof process->name, "%s", names[stage]);
}

size_t cluster_processes(const struct cluster_options *options, struct cluster_process *processes)
{
    size_t n = 0;
    name_process(&processes[n++], CLUSTER_REDIS, 0);
    name_process(&processes[n++], CLUSTER_COORDINATOR, 0);
    for (size_t i = 1; i <= options->n_gateways && n < CLUSTER_MAX_PROCESSES; i++)
        name_process(&processes[n++], CLUSTER_GATEWAY, i);
    for (size_t i = 1; i <= options->n_workers && n < CLUSTER_MAX_PROCESSES; i++)
        name_process(&processes[n++], CLUSTER_WORKER, i);
    return n;
}

/* --- command lines ------------------------------------------------------------------------- */

/* Append one argument; a full store leaves n as it is, which cluster_command_build sees. */
static void add(struct cluster_command *command, const char *text)
{
    const size_t n = strlen(text) + 1;
    if (command->n == CLUSTER_MAX_ARGUMENTS || n > sizeof command->text - command->n_text) {
        command->n = CLUSTER_MAX_ARGUMENTS + 1;
        return;
    }
    memcpy(command->text + command->n_text, text, n);
    command->argv[command->n++] = command->text + command->n_text;
    command->n_text += n;
}

static void add_pair(struct cluster_command *command, const char *name, const char *value)
{
    if (command->n <= CLUSTER_MAX_ARGUMENTS) add(command, name);
    if (command->n <= CLUSTER_MAX_ARGUMENTS) add(command, value);
}

/* The prompt templates: installed, or in the source tree that this was built from. */
static bool find_prompts(char out[CLUSTER_PATH_SIZE])
{
    static const char *const places[] = {"../share/interp/prompts", "../../config/prompts",
                                         "../config/prompts", "config/prompts"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (beside(places[i], out) && access(out, R_OK) == 0) return true;
    return false;
}

static void add_coordinator(struct cluster_command *command, const struct cluster_options *options,
                            const struct cluster_paths *paths)
{
    char path[CLUSTER_PATH_SIZE], address[40], gib[40];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", options->port);
    (void)snprintf(gib, sizeof gib, "%.17g", options->captures_max_gib);
    add_pair(command, "--store", paths->redis_url);
    add_pair(command, "--endpoint", paths->coordinator_endpoint);
    if (options->listen[0]) {
        add_pair(command, "--endpoint", options->listen);
        add_pair(command, "--key", options->listen_key);
        add_pair(command, "--allow", options->allow);
    }
    add_pair(command, "--data", cluster_path(paths, "data", path));
    add_pair(command, "--http", address);
    if (find_prompts(path)) add_pair(command, "--prompts", path);
    if (options->providers[0]) add_pair(command, "--providers", options->providers);
    if (options->captures_max_gib > 0) add_pair(command, "--captures-max-gib", gib);
    add_pair(command, "--log", options->log);
}

static void add_gateway(struct cluster_command *command, const struct cluster_process *process,
                        const struct cluster_options *options, const struct cluster_paths *paths)
{
    char path[CLUSTER_PATH_SIZE], drain[16];
    (void)snprintf(drain, sizeof drain, "%d", GATEWAY_DRAIN_SECONDS);
    add_pair(command, "--redis", paths->redis_url);
    add_pair(command, "--providers", options->providers);
    add_pair(command, "--journal", cluster_path(paths, "journal", path));
    add_pair(command, "--name", process->name);
    add_pair(command, "--drain", drain);
    add_pair(command, "--log", options->log);
}

static void add_worker(struct cluster_command *command, const struct cluster_process *process,
                       const struct cluster_options *options, const struct cluster_paths *paths)
{
    char device[CLUSTER_BACKEND_SIZE + 24];
    add_pair(command, "--connect", paths->coordinator_endpoint);
    add_pair(command, "--name", process->name);
    if (options->n_devices) {
        (void)snprintf(device, sizeof device, "%s:%zu", options->backend,
                       (process->number - 1) % options->n_devices);
        add_pair(command, "--backend", device); /* whose memory says how many threads */
    } else {
        if (options->compute_on[0]) add_pair(command, "--backend", options->compute_on);
        add_pair(command, "--threads", "1");
    }
    add_pair(command, "--log", options->log);
}

status_t cluster_command_build(struct cluster_command *out, const struct cluster_process *process,
                               const struct cluster_options *options,
                               const struct cluster_paths *paths, struct error *err)
{
    static const char *const programs[CLUSTER_N_STAGES] = {"redis-server", "interp-coordinator",
                                                           "interp-gateway", "interp-worker"};
    char path[CLUSTER_PATH_SIZE];
    out->n = out->n_text = 0;
    const status_t status = cluster_find_program(programs[process->stage], path, err);
    if (status != ST_OK) return status;
    add(out, path);
    switch (process->stage) {
    case CLUSTER_REDIS: add(out, cluster_path(paths, "redis.conf", path)); break;
    case CLUSTER_COORDINATOR: add_coordinator(out, options, paths); break;
    case CLUSTER_GATEWAY: add_gateway(out, process, options, paths); break;
    case CLUSTER_WORKER: add_worker(out, process, options, paths); break;
    case CLUSTER_N_STAGES: break;
    }
    if (out->n > CLUSTER_MAX_ARGUMENTS)
        return error_set(err, ST_TOO_LARGE, "%s: command line too long", process->name);
    out->argv[out->n] = NULL;
    return ST_OK;
}

/* --- Redis --------------------------------------------------------------------------------- */

/* memory: the kernel decides when the log reaches the disk; a crash of Redis alone loses nothing
 * in any mode, a crash of the machine loses what the mode allows. */
static const char *appendfsync_of(const char *durability)
{
    if (strcmp(durability, "memory") == 0) return "no";
    return strcmp(durability, "fsync") == 0 ? "always" : "everysec";
}

status_t cluster_write_redis_conf(const struct cluster_options *options,
                                  const struct cluster_paths *paths, struct error *err)
{
    struct buffer conf;
    char directory[CLUSTER_PATH_SIZE], path[CLUSTER_PATH_SIZE];
    if (strpbrk(paths->state, "\"\\\n"))
        return error_set(err, ST_BAD_INPUT,
                         "the state directory's path holds a quote, backslash or line break");
    buffer_init(&conf, REDIS_CONF_MAX_BYTES);
    status_t status = buffer_printf(&conf, err,
                                    "# Written by `interpctl up`; changes are overwritten.\n"
                                    "port 0\n"
                                    "unixsocket \"%s\"\n"
                                    "unixsocketperm 700\n"
                                    "dir \"%s\"\n"
                                    "daemonize no\n"
                                    "logfile \"\"\n"
                                    "loglevel notice\n"
                                    "appendonly yes\n"
                                    "appendfsync %s\n"
                                    "save \"\"\n"
                                    "maxmemory-policy noeviction\n",
                                    paths->redis_socket, cluster_path(paths, "redis", directory),
                                    appendfsync_of(options->durability));
    if (status == ST_OK)
        status = file_write_atomic(cluster_path(paths, "redis.conf", path), conf.bytes,
                                   conf.n_bytes, err);
    buffer_fini(&conf);
    return status;
}
