#include "coordinator/cli/cluster_stop.h"

#include "common/clock.h"
#include "coordinator/cli/cluster_process.h"
#include "coordinator/cli/process_file.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TERM_BOUND_MS = 15000, KILL_BOUND_MS = 5000, LOOK_EVERY_MS = 20 };

static const char *const stage_prefix[CLUSTER_N_STAGES] = {"redis", "coordinator", "gateway-",
                                                           "worker-"};

/* Is `name` "PREFIX...pid" of this stage? */
static bool is_of_stage(const char *name, enum cluster_stage stage)
{
    const size_t n = strlen(name), n_prefix = strlen(stage_prefix[stage]);
    return n > 4 && strcmp(name + n - 4, ".pid") == 0 &&
           strncmp(name, stage_prefix[stage], n_prefix) == 0;
}

struct stage_work {
    int signal_number; /* 0: only count */
    bool removes_files;
};

/* Visit the living processes of a stage; returns how many there are. */
static size_t visit(const struct cluster_paths *paths, enum cluster_stage stage,
                    const struct stage_work *work)
{
    char run[CLUSTER_PATH_SIZE], path[CLUSTER_PATH_SIZE];
    size_t n_alive = 0;
    DIR *directory = opendir(cluster_path(paths, "run", run));
    if (!directory) return 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct process_identity identity;
        if (!is_of_stage(entry->d_name, stage)) continue;
        if ((size_t)snprintf(path, sizeof path, "%s/%s", run, entry->d_name) >= sizeof path)
            continue;
        const bool is_alive =
            process_file_read(path, &identity, NULL) == ST_OK && process_is_alive(&identity);
        n_alive += is_alive;
        if (is_alive && work->signal_number) (void)process_signal(&identity, work->signal_number);
        if (!is_alive && work->removes_files) (void)unlink(path);
    }
    (void)closedir(directory);
    return n_alive;
}

static bool wait_gone(const struct cluster_paths *paths, enum cluster_stage stage, int64_t bound_ms)
{
    const struct stage_work clean = {0, true};
    const struct timespec pause = {0, LOOK_EVERY_MS * 1000000L};
    const int64_t until_ms = clock_monotonic_ms(clock_system()) + bound_ms;
    while (visit(paths, stage, &clean) > 0) {
        if (clock_monotonic_ms(clock_system()) >= until_ms) return false;
        (void)nanosleep(&pause, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        } /* the supervisor's children */
    }
    return true;
}

static status_t stop_stage(const struct cluster_paths *paths, enum cluster_stage stage, FILE *say,
                           size_t *n_stopped, struct error *err)
{
    static const char *const names[CLUSTER_N_STAGES] = {"redis", "coordinator", "gateways",
                                                        "workers"};
    const struct stage_work term = {SIGTERM, true}, kill_hard = {SIGKILL, true};
    const size_t n = visit(paths, stage, &term);
    *n_stopped += n;
    if (n == 0) return ST_OK;
    const bool is_gone = wait_gone(paths, stage, TERM_BOUND_MS);
    if (say && is_gone) (void)fprintf(say, "%s stopped\n", names[stage]);
    if (is_gone) return ST_OK;
    const size_t n_killed = visit(paths, stage, &kill_hard);
    if (say)
        (void)fprintf(say, "%s: %zu did not stop in %d s, killed\n", names[stage], n_killed,
                      TERM_BOUND_MS / 1000);
    if (wait_gone(paths, stage, KILL_BOUND_MS)) return ST_OK;
    return error_set(err, ST_TIMEOUT, "%s: still there after SIGKILL", names[stage]);
}

status_t cluster_stop(const struct cluster_paths *paths, FILE *say, size_t *n_stopped,
                      struct error *err)
{
    status_t status = ST_OK;
    *n_stopped = 0;
    for (int stage = CLUSTER_N_STAGES - 1; stage >= 0 && status == ST_OK; stage--)
        status = stop_stage(paths, (enum cluster_stage)stage, say, n_stopped, err);
    return status;
}

size_t cluster_count_running(const struct cluster_paths *paths)
{
    const struct stage_work count = {0, false};
    size_t n = 0;
    for (int stage = 0; stage < CLUSTER_N_STAGES; stage++)
        n += visit(paths, (enum cluster_stage)stage, &count);
    return n;
}
