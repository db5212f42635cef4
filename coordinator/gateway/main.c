/* interp-gateway: read the command line and providers.yaml, build the gateway, run it, tear it
 * down. See gateway.h. */
#include "common/log.h"
#include "coordinator/gateway/gateway.h"

#include <curl/curl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct arguments {
    const char *redis_url;
    const char *providers_path;
    const char *journal_directory;
    const char *name;
    enum log_level log_level;
    uint32_t drain_seconds;
    bool is_check_only;
};

static const char usage[] =
    "usage: interp-gateway --redis URL --providers FILE --journal DIR [--name NAME]\n"
    "                      [--drain SECONDS] [--log debug|info|warn|error] [--check]\n"
    "Sends paid calls to LLM providers, within limits and budgets that all gateways share.\n"
    "  --redis URL       unix:/path or redis://[user:password@]host:port[/db];\n"
    "                    default: environment variable INTERP_REDIS_URL\n"
    "  --providers FILE  providers.yaml\n"
    "  --journal DIR     what was sent and what came back is kept under DIR/NAME\n"
    "  --name NAME       of this gateway, the same after a restart (default: gateway)\n"
    "  --drain SECONDS   how long calls may finish after SIGTERM or SIGINT (default: 30)\n"
    "  --check           read providers.yaml, say what is wrong with it, send nothing\n";

static status_t parse_option(int option, const char *value, struct arguments *out,
                             struct error *err)
{
    char *end;
    int level;
    unsigned long seconds;
    switch (option) {
    case 'r': out->redis_url = value; break;
    case 'p': out->providers_path = value; break;
    case 'j': out->journal_directory = value; break;
    case 'n': out->name = value; break;
    case 'c': out->is_check_only = true; break;
    case 'd':
        seconds = strtoul(value, &end, 10);
        if (*end || end == value || seconds > 3600)
            return error_set(err, ST_BAD_INPUT, "--drain %s: seconds, 0 to 3600", value);
        out->drain_seconds = (uint32_t)seconds;
        break;
    case 'l':
        level = log_level_parse(value);
        if (level < 0)
            return error_set(err, ST_BAD_INPUT, "--log %s: debug, info, warn or error", value);
        out->log_level = (enum log_level)level;
        break;
    default: return error_set(err, ST_BAD_INPUT, "see interp-gateway --help");
    }
    return ST_OK;
}

static status_t parse_arguments(int argc, char **argv, struct arguments *out, struct error *err)
{
    static const struct option options[] = {
        {"redis", required_argument, NULL, 'r'},   {"providers", required_argument, NULL, 'p'},
        {"journal", required_argument, NULL, 'j'}, {"name", required_argument, NULL, 'n'},
        {"drain", required_argument, NULL, 'd'},   {"log", required_argument, NULL, 'l'},
        {"check", no_argument, NULL, 'c'},         {NULL, 0, NULL, 0}};
    int option;
    *out = (struct arguments){.redis_url = getenv("INTERP_REDIS_URL"),
                              .name = "gateway",
                              .log_level = LOG_INFO,
                              .drain_seconds = 30};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const status_t status = parse_option(option, optarg, out, err);
        if (status != ST_OK) return status;
    }
    if (optind < argc) return error_set(err, ST_BAD_INPUT, "unexpected argument %s", argv[optind]);
    if (!out->providers_path) return error_set(err, ST_BAD_INPUT, "--providers is missing");
    if (out->is_check_only) return ST_OK;
    if (!out->redis_url) return error_set(err, ST_BAD_INPUT, "--redis is missing");
    if (!out->journal_directory) return error_set(err, ST_BAD_INPUT, "--journal is missing");
    return ST_OK;
}

/* SIGTERM and SIGINT become a readable descriptor, in this thread and all that it starts. */
static int open_signal_fd(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static status_t run(const struct arguments *arguments, const struct provider_config *config,
                    struct error *err)
{
    struct gateway *gateway = NULL;
    const struct gateway_options options = {
        .redis_url = arguments->redis_url,
        .journal_directory = arguments->journal_directory,
        .name = arguments->name,
        .signal_fd = open_signal_fd(),
        .drain_seconds = arguments->drain_seconds,
    };
    status_t status = gateway_create(&gateway, config, &options, clock_system(), err);
    if (status == ST_OK) {
        log_event(LOG_INFO, "started", LOG_TEXT("name", options.name),
                  LOG_NUMBER("providers", config->n_providers));
        status = gateway_run(gateway, err);
        log_event(LOG_INFO, "stopped", LOG_TEXT("status", status_name(status)));
    }
    gateway_destroy(&gateway);
    if (options.signal_fd >= 0) (void)close(options.signal_fd);
    return status;
}

int main(int argc, char **argv)
{
    struct error err;
    struct arguments arguments;
    struct provider_config *config = NULL;
    error_clear(&err);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(usage, stdout) < 0;
    (void)signal(SIGPIPE, SIG_IGN);
    status_t status = parse_arguments(argc, argv, &arguments, &err);
    if (status == ST_OK) log_init("gateway", arguments.log_level, STDERR_FILENO);
    if (status == ST_OK && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        status = error_set(&err, ST_INTERNAL, "libcurl does not start");
    if (status == ST_OK) status = provider_config_load(&config, arguments.providers_path, &err);
    if (status == ST_OK && !arguments.is_check_only) status = run(&arguments, config, &err);
    provider_config_destroy(&config);
    curl_global_cleanup();
    if (status != ST_OK) (void)fprintf(stderr, "interp-gateway: %s\n", err.text);
    return status_exit_code(status);
}
