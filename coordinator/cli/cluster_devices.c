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

/* What comes out of `end` until it is closed: the beginning of it, as much as there is room for. */
static void read_all(int end, char said[SAID_SIZE])
{
    char rest[512];
    size_t n = 0;
    for (;;) {
        const bool has_room = n + 1 < SAID_SIZE;
        const ssize_t got = has_room ? read(end, said + n, SAID_SIZE - 1 - n)
                                     : read(end, rest, sizeof rest); /* else it would wait for us */
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += has_room ? (size_t)got : 0;
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

static int wait_for(pid_t pid)
{
    int code = 0;
    pid_t got;
    do got = waitpid(pid, &code, 0);
    while (got < 0 && errno == EINTR);
    return got == pid && WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* Both outputs of the program, to its end; its exit code, or -1. */
static int read_output(char *const argv[], char said[SAID_SIZE])
{
    int ends[2];
    pid_t pid;
    said[0] = '\0';
    if (pipe(ends) != 0) return -1;
    const bool is_started = start(argv, ends, &pid);
    (void)close(ends[1]);
    if (is_started) read_all(ends[0], said);
    (void)close(ends[0]);
    return is_started ? wait_for(pid) : -1;
}

/* Past the line that begins here; the end of the text where it is the last one. */
static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* Why it failed: its own line, which a driver's may stand before. */
static status_t refuse(const char *said, struct error *err)
{
    static const char own[] = "interp-worker devices: ";
    const char *why = *said ? said : "interp-worker devices failed";
    for (const char *line = said; *line; line = next_line(line))
        if (strncmp(line, own, sizeof own - 1) == 0) why = line;
    return error_set(err, ST_UNSUPPORTED, "%.*s", (int)strcspn(why, "\n"), why);
}

/* "cuda:0 UUID ..." is a device; what a driver says of itself is none. */
static bool is_device(const char *line, const char *backend)
{
    const size_t n = strlen(backend);
    return strncmp(line, backend, n) == 0 && line[n] == ':' && line[n + 1] >= '0' &&
           line[n + 1] <= '9';
}

status_t cluster_count_devices(const char *worker, const char *backend, size_t *n,
                               struct error *err)
{
    char said[SAID_SIZE], program[CLUSTER_PATH_SIZE], name[CLUSTER_BACKEND_SIZE];
    char verb[] = "devices", option[] = "--backend";
    char *const argv[] = {program, verb, option, name, NULL};
    *n = 0;
    (void)snprintf(program, sizeof program, "%s", worker);
    (void)snprintf(name, sizeof name, "%s", backend);
    if (read_output(argv, said) != 0) return refuse(said, err);
    for (const char *line = said; *line; line = next_line(line)) *n += is_device(line, backend);
    return ST_OK;
}

static status_t count(const char *backend, size_t *n, struct error *err)
{
    char program[CLUSTER_PATH_SIZE];
    const status_t status = cluster_find_program("interp-worker", program, err);
    return status == ST_OK ? cluster_count_devices(program, backend, n, err) : status;
}

bool cluster_is_backend(const char *name)
{
    static const char *const names[] = {"auto", "cpu", "cuda", "emu"};
    static const char *const of_devices[] = {"cuda:", "emu:"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    for (size_t i = 0; i < sizeof of_devices / sizeof of_devices[0]; i++) {
        const size_t n = strlen(of_devices[i]);
        if (strncmp(name, of_devices[i], n) == 0 && name[n]) return true;
    }
    return false;
}

status_t cluster_find_devices(const char *wanted, char backend[CLUSTER_BACKEND_SIZE], size_t *n,
                              struct error *why_none, struct error *err)
{
    const bool is_auto = wanted && strcmp(wanted, "auto") == 0;
    const bool is_named = wanted && (strcmp(wanted, "cuda") == 0 || strcmp(wanted, "emu") == 0);
    *n = 0;
    backend[0] = '\0';
    if (!is_auto && !is_named) return ST_OK;
    (void)snprintf(backend, CLUSTER_BACKEND_SIZE, "%s", is_auto ? "cuda" : wanted);
    const status_t status = count(backend, n, is_auto ? why_none : err);
    if (status == ST_OK) return ST_OK;
    backend[0] = '\0';
    *n = 0;
    return is_auto ? ST_OK : status;
}
