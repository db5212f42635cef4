/* A cluster in a directory of its own, for the time of one command: `interpctl up --foreground` as
 * a child, which stops everything when it is told to, or when this process ends, however it ends.
 * One thread. */
#ifndef COORDINATOR_CLI_TEMPORARY_CLUSTER_H
#define COORDINATOR_CLI_TEMPORARY_CLUSTER_H

#include "coordinator/cli/cli.h"
#include "coordinator/cli/cluster_paths.h"

#include <sys/types.h>

enum { TEMPORARY_HOME_SIZE = 256, TEMPORARY_PATH_SIZE = 512 };

struct temporary_cluster {
    char home[TEMPORARY_HOME_SIZE]; /* the directory; "": none */
    struct cluster_paths paths;     /* of its state directory, in home */
    struct client *client;          /* to its coordinator; owned */
    pid_t pid;                      /* of `up`; 0: it does not run */
};

/* Make the directory under TMPDIR (/tmp). In any case the caller passes *out to
 * temporary_cluster_fini(). Errors: ST_IO, ST_BAD_INPUT (a path too long). */
MUST_CHECK status_t temporary_cluster_init(struct temporary_cluster *out, struct error *err);

/* Start it with so many workers and wait until its coordinator answers. Errors: ST_CANCELLED (a
 * signal), ST_TIMEOUT, ST_INTERNAL (it ended: its last line), ST_IO. */
MUST_CHECK status_t temporary_cluster_start(struct temporary_cluster *cluster, struct cli *cli,
                                            size_t n_workers, struct error *err);

/* Stop everything, and remove the directory with all that is in it. Fine twice. */
void temporary_cluster_fini(struct temporary_cluster *cluster);

/* Run a program to its end, its output into `log_path`. Errors: ST_IO, ST_INTERNAL (its exit code
 * is not 0: its last line). */
MUST_CHECK status_t temporary_cluster_run(const char *const *argv, const char *log_path,
                                          struct error *err);

#endif
