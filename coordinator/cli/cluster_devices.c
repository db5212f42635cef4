#include "coordinator/cli/cluster_devices.h"

#include "coordinator/cli/cluster_process.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_SIZE = 16384 };

extern char **environ;

/* What comes out of `end` until it is closed. */
static void read_all(int end, char said[SAID_SIZE])
{
    size_t n = 0;
    while (n + 1 < SAID_SIZE) {
        const ssize_t got = read(end, said + n, SAID_SIZE - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    said[n] = '\0';
}

/* The program, its outputs at the pipe's end for writing. */
static bool start(char *const argv[], const int ends[2], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) return false;
    const bool is_started =
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO) == 0 &&
        posix_spawn_file_actions_addclose(&actions, ends[0]) == 0 &&
        posix_spawn(pid, argv[0], &actions, NULL, argv, environ) == 0;
    (void)posix_spawn_file_actions_destroy(&actions);
    return is_started;
}

/* Both outputs of the program, to its end; its exit code, or -1. */
static int read_output(char *const argv[], char said[SAID_SIZE])
{
    int ends[2], code = 0;
    pid_t pid;
    said[0] = '\0';
    if (pipe(ends) != 0) return -1;
    const bool is_started = start(argv, ends, &pid);
    (void)close(ends[1]);
    if (is_started) read_all(ends[0], said);
    (void)close(ends[0]);
    if (!is_started || waitpid(pid, &code, 0) != pid) return -1;
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

static status_t count(char *backend, size_t *n, struct error *err)
{
    char program[CLUSTER_PATH_SIZE], said[SAID_SIZE];
    char verb[] = "devices", option[] = "--backend";
    char *const argv[] = {program, verb, option, backend, NULL};
    const status_t status = cluster_find_program("interp-worker", program, err);
    if (status != ST_OK) return status;
    if (read_output(argv, said) != 0) {
        said[strcspn(said, "\n")] = '\0';
        return error_set(err, ST_UNSUPPORTED, "%s",
                         said[0] ? said : "interp-worker devices failed");
    }
    /* "cuda:0 UUID ..." is a device; what a driver says of itself is none. */
    for (const char *line = said; *line; line += strcspn(line, "\n") + 1) {
        *n += strncmp(line, backend, strlen(backend)) == 0;
        if (!strchr(line, '\n')) break;
    }
    return ST_OK;
}

status_t cluster_find_devices(const char *wanted, char backend[CLUSTER_BACKEND_SIZE], size_t *n,
                              struct error *err)
{
    const bool is_auto = wanted && strcmp(wanted, "auto") == 0;
    const bool is_named = wanted && (strcmp(wanted, "cuda") == 0 || strcmp(wanted, "emu") == 0);
    *n = 0;
    backend[0] = '\0';
    if (!is_auto && !is_named) return ST_OK;
    (void)snprintf(backend, CLUSTER_BACKEND_SIZE, "%s", is_auto ? "cuda" : wanted);
    const status_t status = count(backend, n, is_auto ? NULL : err);
    if (status == ST_OK) return ST_OK;
    backend[0] = '\0';
    *n = 0;
    return is_auto ? ST_OK : status;
}
