/* Which processes a local cluster has, and how each is started. */
#ifndef COORDINATOR_CLI_CLUSTER_PROCESS_H
#define COORDINATOR_CLI_CLUSTER_PROCESS_H

#include "common/cluster_config.h"
#include "common/error.h"
#include "coordinator/cli/arguments.h"
#include "coordinator/cli/cluster_devices.h"
#include "coordinator/cli/cluster_paths.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLUSTER_MAX_PROCESSES = 512, CLUSTER_MAX_ARGUMENTS = 24, CLUSTER_ARGUMENT_BYTES = 16384 };

/* In the order of their start; they stop in reverse. */
enum cluster_stage {
    CLUSTER_REDIS,
    CLUSTER_COORDINATOR,
    CLUSTER_GATEWAY,
    CLUSTER_WORKER,
    CLUSTER_N_STAGES
};

/* What `up` was told, with the defaults filled in. */
struct cluster_options {
    size_t n_workers, n_gateways;
    char compute_on[CLUSTER_BACKEND_NAME_SIZE]; /* the workers' --backend; "": their default */
    char backend[CLUSTER_BACKEND_SIZE]; /* whose devices the workers get in turn; "": none */
    size_t n_devices;
    struct error why_cpu;              /* "auto" became the CPU, because; ST_OK: it did not */
    char providers[CLUSTER_PATH_SIZE]; /* absolute; "": none */
    unsigned port;                     /* 0: one that is free */
    char listen[CLUSTER_PATH_SIZE];    /* further endpoint; "": none */
    char listen_key[CLUSTER_PATH_SIZE], allow[CLUSTER_PATH_SIZE]; /* absolute; "": none */
    const char *durability, *log;
    double captures_max_gib; /* 0: no limit */
};

struct cluster_process {
    char name[24]; /* "redis", "coordinator", "gateway-1", "worker-1" */
    enum cluster_stage stage;
    size_t number; /* from 1; 0: there is one */
};

struct cluster_command {
    const char *argv[CLUSTER_MAX_ARGUMENTS + 1]; /* argv[0]: the program's path; points into text */
    size_t n;
    char text[CLUSTER_ARGUMENT_BYTES];
    size_t n_text;
};

/* The arguments win over `config` (NULL: none), both over the defaults: a worker per device where
 * a backend that has some is named (--backend, INTERP_BACKEND, the configuration, in this order;
 * cluster_devices.h), else one per core; a gateway if there are providers. Errors: ST_BAD_INPUT,
 * ST_NOT_FOUND (a file). */
MUST_CHECK status_t cluster_options_init(struct cluster_options *out,
                                         const struct cli_arguments *arguments,
                                         const struct cluster_config *config,
                                         const struct cluster_paths *paths, struct error *err);

/* Fill processes[CLUSTER_MAX_PROCESSES]; returns how many. */
size_t cluster_processes(const struct cluster_options *options, struct cluster_process *processes);

/* The command line of `process`. Errors: ST_NOT_FOUND (program), ST_TOO_LARGE. */
MUST_CHECK status_t cluster_command_build(struct cluster_command *out,
                                          const struct cluster_process *process,
                                          const struct cluster_options *options,
                                          const struct cluster_paths *paths, struct error *err);

/* Redis' configuration, into the state directory. Errors: ST_IO. */
MUST_CHECK status_t cluster_write_redis_conf(const struct cluster_options *options,
                                             const struct cluster_paths *paths, struct error *err);

/* Path of a program: beside this one, else in PATH. Errors: ST_NOT_FOUND, with the cure. */
MUST_CHECK status_t cluster_find_program(const char *name, char out[CLUSTER_PATH_SIZE],
                                         struct error *err);

#endif
