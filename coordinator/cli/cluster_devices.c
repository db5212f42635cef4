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

/* Both outputs of the program, to its end; its exit code, or -1. */
static int read_output(char *const argv[], char said[SAID_SIZE])
{
    posix_spawn_file_actions_t actions;
    int ends[2], code = -1;
    size_t n = 0;
    ssize_t got = 1;
    pid_t pid;
    said[0] = '\0';
    if (pipe(ends) != 0) return -1;
    if (posix_spawn_file_actions_init(&actions) == 0) {
        const int failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) ||
                           posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO) ||
                           posix_spawn_file_actions_addclose(&actions, ends[0]) ||
                           posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)close(ends[1]);
        ends[1] = -1;
        while (!failed && got > 0 && n + 1 < SAID_SIZE) {
            got = read(ends[0], said + n, SAID_SIZE - 1 - n);
            if (got > 0) n += (size_t)got;
            if (got < 0 && errno == EINTR) got = 1;
        }
        said[n] = '\0';
        if (!failed && waitpid(pid, &code, 0) == pid)
            code = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
    }
    (void)close(ends[0]);
    if (ends[1] >= 0) (void)close(ends[1]);
    return code;
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
    for (const char *line = said; (line = strchr(line, '\n')); line++) ++*n;
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
