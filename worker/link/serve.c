#define _GNU_SOURCE /* getopt_long */
#include "worker/link/serve.h"

#include "common/error.h"
#include "common/log.h"
#include "common/version.h"
#include "common/wire.h"
#include "kernels/plugin.h"
#include "worker/device.h"
#include "worker/link/link.h"
#include "worker/numa_place.h"
#include "worker/tasks/model_cache.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_LIMIT = 64, DEVICE_THREADS = 2 };

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static const char usage[] =
    "usage: interp-worker --connect ENDPOINT [--key FILE --server-key FILE] [OPTIONS]\n"
    "  --connect ENDPOINT  the coordinator, e.g. ipc:///run/interp/coordinator.sock\n"
    "                      or tcp://10.0.0.5:7600\n"
    "  --key FILE          this worker's secret key, for a coordinator with keys (INTERP_KEY)\n"
    "  --server-key FILE   that coordinator's public key (INTERP_SERVER_KEY)\n"
    "  --name NAME         unique in the cluster (default: host-pid)\n"
    "  --backend NAME      cpu (default, or INTERP_BACKEND), cuda, cuda:N (the Nth device),\n"
    "                      cuda:UUID, auto (cuda if a device is there and the model fits on it),\n"
    "                      emu (the CUDA backend on the host emulator: slow, for tests)\n"
    "  --device-memory N   use no more than N bytes of it, or NKiB, NMiB, NGiB\n"
    "                      (INTERP_DEVICE_MEMORY; default: what is free)\n"
    "  --threads N         units computed at once (default 1; on a device 2 where it has room for\n"
    "                      the passes of both beside all layers, else 1; one worker per core or\n"
    "                      GPU is the usual choice)\n"
    "  --log LEVEL         debug | info | warn | error (default info)\n"
    "  --help, --version   print this, or which program this is, and stop\n";

struct serve_options {
    const char *endpoint;
    struct device_options device;
    struct curve_files keys;
    char name[WORKER_NAME_SIZE];
    size_t n_threads; /* 0: as many as suit what computes */
    int log_level;
    bool is_help, is_version;
};

static status_t parse_threads(const char *text, size_t *out, struct error *err)
{
    char *end;
    const long n = strtol(text, &end, 10);
    if (*end || end == text || n < 1 || n > THREADS_LIMIT)
        return error_set(err, ST_BAD_INPUT, "--threads %s: a number from 1 to %d", text,
                         THREADS_LIMIT);
    *out = (size_t)n;
    return ST_OK;
}

/* `value` is the option itself where getopt_long() has something against it. */
static status_t apply_option(int option, const char *value, struct serve_options *out,
                             struct error *err)
{
    switch (option) {
    case 'c': out->endpoint = value; return ST_OK;
    case 'k': out->keys.key = value; return ST_OK;
    case 's': out->keys.server_key = value; return ST_OK;
    case 'n':
        if ((size_t)snprintf(out->name, sizeof out->name, "%s", value) >= sizeof out->name)
            return error_set(err, ST_BAD_INPUT, "--name: at most %zu bytes", sizeof out->name - 1);
        return ST_OK;
    case 'b': out->device.backend = value; return ST_OK;
    case 'm': out->device.memory = value; return ST_OK;
    case 'h': out->is_help = true; return ST_OK;
    case 'v': out->is_version = true; return ST_OK;
    case 't': return parse_threads(value, &out->n_threads, err);
    case 'l':
        out->log_level = log_level_parse(value);
        return out->log_level >= 0
                   ? ST_OK
                   : error_set(err, ST_BAD_INPUT, "--log %s: debug, info, warn or error", value);
    case ':': return error_set(err, ST_BAD_INPUT, "%s needs a value", value);
    default: return error_set(err, ST_BAD_INPUT, "unknown option %s", value);
    }
}

static status_t parse_options(int argc, char **argv, struct serve_options *out, struct error *err)
{
    static const struct option options[] = {{"connect", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"server-key", required_argument, NULL, 's'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"backend", required_argument, NULL, 'b'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"log", required_argument, NULL, 'l'},
                                            {"device-memory", required_argument, NULL, 'm'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    char host[32] = "worker";
    (void)gethostname(host, sizeof host - 1);
    *out = (struct serve_options){.device.backend = backend_default_name(), .log_level = LOG_INFO};
    (void)snprintf(out->name, sizeof out->name, "%s-%ld", host, (long)getpid());
    int option;
    optind = 1;
    opterr = 0; /* what is wrong is said here */
    const char *word = argv[optind];
    while ((option = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
        const status_t status =
            apply_option(option, option == '?' || option == ':' ? word : optarg, out, err);
        if (status != ST_OK || out->is_help || out->is_version) return status;
        word = argv[optind];
    }
    if (optind < argc) return error_set(err, ST_BAD_INPUT, "unknown argument \"%s\"", argv[optind]);
    return out->endpoint ? ST_OK : error_set(err, ST_BAD_INPUT, "--connect is missing");
}

static status_t catch_signals(struct error *err)
{
    struct sigaction action = {.sa_handler = on_signal};
    if (sigemptyset(&action.sa_mask) != 0 || sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGINT, &action, NULL) != 0)
        return error_set(err, ST_INTERNAL, "signal handlers");
    (void)signal(SIGPIPE, SIG_IGN);
    return ST_OK;
}

static void log_device(const struct backend *backend, const struct device_notes *notes)
{
    const struct backend_memory memory = backend->ops->memory(backend);
    const struct backend_place *place = backend->ops->place ? backend->ops->place(backend) : NULL;
    if (notes->why_cpu.status != ST_OK)
        log_event(LOG_INFO, "no_device", LOG_TEXT("error", notes->why_cpu.text));
    log_event(LOG_INFO, "device", LOG_TEXT("isa", backend->ops->describe(backend)),
              LOG_NUMBER("index", place ? place->index : 0),
              LOG_TEXT("uuid", place ? place->uuid : ""), LOG_TEXT("pci", place ? place->pci : ""),
              LOG_NUMBER("numa_node", notes->place.node), LOG_NUMBER("free_bytes", memory.n_free),
              LOG_NUMBER("total_bytes", memory.n_total));
}

/* As long as the device is of use. */
static status_t serve_on(const struct serve_options *options, const struct curve_client *curve,
                         struct error *err)
{
    struct backend *backend = NULL;
    struct model_cache *models = NULL;
    struct device_notes notes = {.place.node = NUMA_UNKNOWN};
    status_t status = device_open(&backend, &options->device, &notes, err);
    if (status == ST_OK) log_device(backend, &notes);
    if (status == ST_OK) status = model_cache_create(&models, backend, err);
    if (status == ST_OK) {
        const bool is_auto = strcmp(options->device.backend, "auto") == 0;
        const bool is_device = strcmp(backend->ops->name, "cpu") != 0;
        const size_t n_default = is_device ? DEVICE_THREADS : 1;
        const size_t n_threads = options->n_threads ? options->n_threads : n_default;
        model_cache_share(models, n_threads, !options->n_threads);
        const struct link_params params = {.endpoint = options->endpoint,
                                           .curve = curve,
                                           .name = options->name,
                                           .backend = backend->ops->name,
                                           .isa = backend->ops->describe(backend),
                                           .n_threads = n_threads,
                                           .models = models,
                                           .may_leave_device = is_auto && is_device,
                                           .stop_signal = &stop_signal};
        status = link_run(&params, err);
    }
    model_cache_destroy(&models);
    device_close(&backend, &notes); /* whoever comes next may be the CPU, with all processors */
    return status;
}

static status_t serve(const struct serve_options *options, struct error *err)
{
    struct serve_options on_cpu = *options;
    struct curve_client curve;
    bool is_curve = false;
    on_cpu.device = (struct device_options){.backend = "cpu", .memory = ""}; /* no limit */
    status_t status = curve_client_load(&curve, &is_curve, &options->keys, options->endpoint, err);
    if (status == ST_OK) status = catch_signals(err);
    if (status == ST_OK) status = serve_on(options, is_curve ? &curve : NULL, err);
    if (status != ST_NO_MEMORY || strcmp(options->device.backend, "auto") != 0) return status;
    log_event(LOG_WARN, "device_too_small", LOG_TEXT("error", err->text),
              LOG_TEXT("instead", "cpu"));
    error_clear(err);
    return serve_on(&on_cpu, is_curve ? &curve : NULL, err);
}

void worker_serve_print_help(void)
{
    (void)fputs(usage, stdout);
}

int worker_serve_command(int argc, char **argv)
{
    struct error err = {0};
    struct serve_options options;
    if (parse_options(argc, argv, &options, &err) != ST_OK) {
        (void)fprintf(stderr, "interp-worker: %s (interp-worker --help)\n", err.text);
        return status_exit_code(ST_BAD_INPUT);
    }
    if (options.is_help) worker_serve_print_help();
    if (options.is_version)
        (void)printf("interp-worker %s, wire protocol %d\n", version_text(), WIRE_VERSION);
    if (options.is_help || options.is_version) return 0;
    log_init("interp-worker", (enum log_level)options.log_level, 2);
    const status_t status = serve(&options, &err);
    if (status != ST_OK) log_event(LOG_ERROR, "worker_failed", LOG_TEXT("error", err.text));
    return status_exit_code(status);
}
