#define _GNU_SOURCE /* getopt_long */
#include "coordinator/options.h"

#include "common/endpoint.h"
#include "common/log.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { BACKGROUND_MAX = 64, CHECKPOINT_BYTES = 32 * 1024 * 1024, GIB_MAX = 1048576 };

const char *coordinator_usage(void)
{
    return "usage: interp-coordinator --store URL --endpoint EP [--endpoint EP ...] --data DIR\n"
           "  --store URL       Redis: unix:/path or redis://[user:password@]host:port[/db]\n"
           "  --endpoint EP     where workers and clients connect: ipc:///path or tcp://host:port\n"
           "  --key FILE        secret key of this coordinator: CURVE on every tcp endpoint\n"
           "  --allow DIR       the public keys (*.pub, each with a role) that may connect there\n"
           "  --insecure        other machines may connect without keys\n"
           "  --data DIR        results, evidence and token files\n"
           "  --http ADDR       loopback address of the page, e.g. 127.0.0.1:0 (default off)\n"
           "  --prompts DIR     prompt templates (needed by LLM explainers and judges)\n"
           "  --providers FILE  providers.yaml (needed by LLM explainers and judges)\n"
           "  --background N    threads for planning and scoring (default 1)\n"
           "  --captures-max-gib N  evidence kept on disk: what no running sweep uses and was\n"
           "                    used longest ago goes first (default: no limit)\n"
           "  --checkpoint-bytes N  captured results between two checkpoints (default 33554432)\n"
           "  --log LEVEL       debug | info | warn | error (default info)\n";
}

static status_t parse_number(const char *option, const char *text, long max, size_t *out,
                             struct error *err)
{
    char *end;
    const long n = strtol(text, &end, 10);
    if (*end || end == text || n < 1 || n > max)
        return error_set(err, ST_BAD_INPUT, "%s %s: a number from 1 to %ld", option, text, max);
    *out = (size_t)n;
    return ST_OK;
}

static status_t parse_gib(const char *option, const char *text, size_t *out, struct error *err)
{
    char *end;
    const double gib = strtod(text, &end);
    if (*end || end == text || !(gib > 0 && gib <= GIB_MAX))
        return error_set(err, ST_BAD_INPUT, "%s %s: more than 0, at most %d", option, text,
                         GIB_MAX);
    *out = (size_t)(gib * 1024 * 1024 * 1024);
    return ST_OK;
}

static status_t apply(int option, const char *value, struct coordinator_options *out,
                      struct error *err)
{
    switch (option) {
    case 's': out->store_url = value; return ST_OK;
    case 'e':
        if (out->n_endpoints == COORDINATOR_ENDPOINTS_MAX)
            return error_set(err, ST_BAD_INPUT, "--endpoint: at most %d",
                             COORDINATOR_ENDPOINTS_MAX);
        out->endpoints[out->n_endpoints++] = value;
        return ST_OK;
    case 'k': out->key_file = value; return ST_OK;
    case 'a': out->allow_directory = value; return ST_OK;
    case 'i': out->is_insecure = true; return ST_OK;
    case 'd': out->data_directory = value; return ST_OK;
    case 'h': out->http_listen = strcmp(value, "off") == 0 ? NULL : value; return ST_OK;
    case 'p': out->prompts_directory = value; return ST_OK;
    case 'P': out->providers_file = value; return ST_OK;
    case 'b': return parse_number("--background", value, BACKGROUND_MAX, &out->n_background, err);
    case 'C': return parse_gib("--captures-max-gib", value, &out->captures_max_bytes, err);
    case 'c':
        return parse_number("--checkpoint-bytes", value, LONG_MAX, &out->checkpoint_bytes, err);
    case 'l':
        out->log_level = log_level_parse(value);
        return out->log_level >= 0
                   ? ST_OK
                   : error_set(err, ST_BAD_INPUT, "--log %s: debug, info, warn or error", value);
    default: return error_set(err, ST_BAD_INPUT, "unknown option");
    }
}

static status_t check_endpoints(const struct coordinator_options *options, struct error *err)
{
    if (!options->key_file != !options->allow_directory)
        return error_set(err, ST_BAD_INPUT, "%s is missing: keys need --key and --allow",
                         options->key_file ? "--allow DIR" : "--key FILE");
    for (size_t i = 0; i < options->n_endpoints; i++)
        if (!options->key_file && !options->is_insecure &&
            !endpoint_is_loopback(options->endpoints[i]))
            return error_set(err, ST_BAD_INPUT,
                             "--endpoint %s: other machines can connect there; give --key and "
                             "--allow (interpctl keys new), or --insecure on a trusted network",
                             options->endpoints[i]);
    return ST_OK;
}

static status_t check_required(const struct coordinator_options *options, struct error *err)
{
    if (!options->store_url) return error_set(err, ST_BAD_INPUT, "--store is missing");
    if (!options->n_endpoints) return error_set(err, ST_BAD_INPUT, "--endpoint is missing");
    if (!options->data_directory) return error_set(err, ST_BAD_INPUT, "--data is missing");
    return check_endpoints(options, err);
}

status_t coordinator_options_parse(int argc, char **argv, struct coordinator_options *out,
                                   struct error *err)
{
    static const struct option options[] = {{"store", required_argument, NULL, 's'},
                                            {"endpoint", required_argument, NULL, 'e'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"allow", required_argument, NULL, 'a'},
                                            {"insecure", no_argument, NULL, 'i'},
                                            {"data", required_argument, NULL, 'd'},
                                            {"http", required_argument, NULL, 'h'},
                                            {"prompts", required_argument, NULL, 'p'},
                                            {"providers", required_argument, NULL, 'P'},
                                            {"background", required_argument, NULL, 'b'},
                                            {"checkpoint-bytes", required_argument, NULL, 'c'},
                                            {"captures-max-gib", required_argument, NULL, 'C'},
                                            {"log", required_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    *out = (struct coordinator_options){
        .n_background = 1, .checkpoint_bytes = CHECKPOINT_BYTES, .log_level = LOG_INFO};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        const status_t status = apply(option, optarg, out, err);
        if (status != ST_OK) return status;
    }
    if (optind < argc) return error_set(err, ST_BAD_INPUT, "unknown argument \"%s\"", argv[optind]);
    return check_required(out, err);
}
