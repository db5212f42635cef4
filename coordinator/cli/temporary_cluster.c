#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include "coordinator/cli/temporary_cluster.h"

#include "common/file.h"
#include "coordinator/cli/process_start.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 60000, LOOK_MS = 50, ANSWER_MS = 10000, MAX_OPEN = 16, LOG_BYTES = 1 << 20 };

/* --- the directory ------------------------------------------------------------------------- */

status_t temporary_cluster_init(struct temporary_cluster *out, struct error *err)
{
    const char *parent = getenv("TMPDIR");
    char state[TEMPORARY_PATH_SIZE];
    *out = (struct temporary_cluster){.pid = 0};
    if (!parent || !*parent) parent = "/tmp";
    const int n = snprintf(out->home, sizeof out->home, "%s/interp-XXXXXX", parent);
    if (n < 0 || (size_t)n >= sizeof out->home || !mkdtemp(out->home)) {
        out->home[0] = '\0';
        return error_set(err, ST_IO, "a directory under %s: %s", parent, strerror(errno));
    }
    (void)snprintf(state, sizeof state, "%s/state", out->home);
    return cluster_paths_init(&out->paths, state, err);
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    (void)remove(path); /* what stays is in a temporary directory */
    return 0;
}

/* --- processes ----------------------------------------------------------------------------- */

/* The last line of a log: why a program ended. */
static status_t ended(const char *program, const char *log_path, struct error *err)
{
    char *text = NULL;
    size_t n = 0;
    struct error ignored = {0};
    if (file_read(log_path, LOG_BYTES, &text, &n, &ignored) != ST_OK) text = NULL;
    while (text && n > 0 && text[n - 1] == '\n') text[--n] = '\0';
    const char *line = text ? strrchr(text, '\n') : NULL;
    const status_t status = error_set(err, ST_INTERNAL, "%s ended: %s", program,
                                      line   ? line + 1
                                      : text ? text
                                             : "?");
    free(text);
    return status;
}

status_t temporary_cluster_run(const char *const *argv, const char *log_path, struct error *err)
{
    const struct process_start start = {
        .argv = argv, .log_path = log_path, .dies_with_parent = true};
    pid_t pid;
    int how = 0;
    const status_t status = process_start(&start, &pid, err);
    if (status != ST_OK) return status;
    while (waitpid(pid, &how, 0) < 0)
        if (errno != EINTR) return error_set(err, ST_IO, "%s: %s", argv[0], strerror(errno));
    return WIFEXITED(how) && WEXITSTATUS(how) == 0 ? ST_OK : ended(argv[0], log_path, err);
}

static status_t start_up(struct temporary_cluster *cluster, size_t n_workers, const char *log_path,
                         struct error *err)
{
    char self[CLUSTER_PATH_SIZE], workers[24];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return error_set(err, ST_IO, "/proc/self/exe cannot be read");
    self[n] = '\0';
    (void)snprintf(workers, sizeof workers, "%zu", n_workers);
    const char *const argv[] = {self,        "up",    "--state",      cluster->paths.state,
                                "--workers", workers, "--gateways",   "0",
                                "--port",    "0",     "--durability", "memory",
                                "--log",     "warn",  "--foreground", NULL};
    const struct process_start start = {
        .argv = argv, .log_path = log_path, .dies_with_parent = true};
    return process_start(&start, &cluster->pid, err);
}

static bool has_ended(struct temporary_cluster *cluster)
{
    if (waitpid(cluster->pid, NULL, WNOHANG) != cluster->pid) return false;
    cluster->pid = 0;
    return true;
}

/* Does the coordinator answer? */
static bool answers(struct temporary_cluster *cluster)
{
    struct error ignored = {0};
    json_t *answer = NULL;
    const struct client_request ping = {"ping", NULL, true};
    const bool is_there = client_ask(cluster->client, &ping, &answer, &ignored) == ST_OK;
    json_decref(answer);
    return is_there;
}

status_t temporary_cluster_start(struct temporary_cluster *cluster, struct cli *cli,
                                 size_t n_workers, struct error *err)
{
    char log_path[TEMPORARY_PATH_SIZE];
    const struct client_params params = {.endpoint = cluster->paths.coordinator_endpoint,
                                         .timeout_ms = ANSWER_MS,
                                         .interrupt = cli->interrupt};
    const int64_t until_ms = clock_monotonic_ms(cli->clock) + READY_MS;
    (void)snprintf(log_path, sizeof log_path, "%s/up.log", cluster->home);
    status_t status = start_up(cluster, n_workers, log_path, err);
    if (status == ST_OK) status = client_open(&cluster->client, &params, err);
    while (status == ST_OK && !answers(cluster)) {
        if (has_ended(cluster)) return ended("the cluster", log_path, err);
        if (!cli_sleep(cli, LOOK_MS)) return error_set(err, ST_CANCELLED, "interrupted");
        if (clock_monotonic_ms(cli->clock) > until_ms)
            return error_set(err, ST_TIMEOUT, "the cluster is not up after %d s", READY_MS / 1000);
    }
    return status;
}

void temporary_cluster_fini(struct temporary_cluster *cluster)
{
    client_close(&cluster->client);
    if (cluster->pid > 0) {
        (void)kill(cluster->pid, SIGTERM);
        while (waitpid(cluster->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        cluster->pid = 0;
    }
    if (cluster->home[0]) (void)nftw(cluster->home, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS);
    cluster->home[0] = '\0';
}
