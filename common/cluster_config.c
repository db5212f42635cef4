#include "common/cluster_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_choice durability_choices[] = {{"memory", CLUSTER_MEMORY, false},
                                                          {"everysec", CLUSTER_EVERYSEC, false},
                                                          {"fsync", CLUSTER_FSYNC, false},
                                                          {"replicated", -1, true},
                                                          {NULL, 0, false}};
static const struct config_choice log_choices[] = {{"debug", LOG_DEBUG, false},
                                                   {"info", LOG_INFO, false},
                                                   {"warn", LOG_WARN, false},
                                                   {"error", LOG_ERROR, false},
                                                   {NULL, 0, false}};
static const struct config_key cluster_keys[] = {
    CONFIG_COUNT(struct cluster_config, workers, 0, 256, "0", "processes",
                 "0: one per core, or per GPU where the backend is cuda"),
    CONFIG_COUNT(struct cluster_config, gateways, 0, 64, "0", "processes",
                 "0: one if there are providers, else none"),
    CONFIG_COUNT(struct cluster_config, port, 0, 65535, "0", NULL,
                 "of the page on 127.0.0.1; 0: one that is free"),
    CONFIG_CHOICE(struct cluster_config, durability, durability_choices, "everysec",
                  "when Redis' log reaches the disk"),
    CONFIG_CHOICE(struct cluster_config, log, log_choices, "info", "what the processes log"),
    CONFIG_NUMBER(struct cluster_config, captures_max_gib, 0.0, 1e6, "0", "GiB",
                  "evidence kept on disk; what no running sweep uses goes first; 0: no limit"),
    CONFIG_TEXT(struct cluster_config, backend, NULL,
                "what workers compute on: cpu, cuda, auto (GPUs if there are any) or emu"),
    CONFIG_TEXT(struct cluster_config, providers, NULL, "file of the LLM providers"),
    CONFIG_TEXT(struct cluster_config, state, NULL, "directory of sockets, store, results, logs"),
    CONFIG_TEXT(struct cluster_config, listen, NULL, "tcp://ADDRESS:PORT, for other machines"),
    CONFIG_TEXT(struct cluster_config, listen_key, NULL, "the coordinator's secret key there"),
    CONFIG_TEXT(struct cluster_config, allow, NULL, "directory of the public keys let in there"),
    CONFIG_END};
const struct config_schema cluster_config_schema = {"cluster", cluster_keys,
                                                    sizeof(struct cluster_config)};

const char *cluster_durability_name(enum cluster_durability durability)
{
    return durability_choices[durability].name;
}

/* Replace a relative *path by what it is seen from the current directory. */
static bool resolve(char **path, const char *file)
{
    const char *slash = strrchr(file, '/');
    char *joined;
    size_t n;
    if (!*path || (*path)[0] == '/' || !slash) return true;
    n = (size_t)(slash - file) + strlen(*path) + 2;
    joined = malloc(n);
    if (!joined) return false;
    (void)snprintf(joined, n, "%.*s/%s", (int)(slash - file), file, *path);
    free(*path);
    *path = joined;
    return true;
}

status_t cluster_config_load(struct cluster_config **out, const char *path, struct error *err)
{
    void *data = NULL;
    struct cluster_config *config;
    status_t status = config_load_file(&data, &cluster_config_schema, path, err);
    if (status != ST_OK) return status;
    config = data;
    if (!resolve(&config->providers, path) || !resolve(&config->state, path) ||
        !resolve(&config->listen_key, path) || !resolve(&config->allow, path)) {
        cluster_config_destroy(&config);
        return error_set(err, ST_NO_MEMORY, "%s: no memory", path);
    }
    *out = config;
    return ST_OK;
}

void cluster_config_destroy(struct cluster_config **config)
{
    void *data = config ? *config : NULL;
    if (!data) return;
    config_destroy(&data, &cluster_config_schema);
    *config = NULL;
}
