#include "coordinator/cli/cluster_paths.h"

#include "common/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_NAME = 64 }; /* "/" and the longest name below the state directory */

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* What the user means, maybe relative, into out[cap]. */
static status_t choose(const char *state, char *out, size_t cap, struct error *err)
{
    const char *xdg = environment("XDG_STATE_HOME"), *home = environment("HOME");
    int n;
    if (!state) state = environment("INTERP_STATE");
    if (state)
        n = snprintf(out, cap, "%s", state);
    else if (xdg && xdg[0] == '/')
        n = snprintf(out, cap, "%s/interp", xdg);
    else if (home)
        n = snprintf(out, cap, "%s/.local/state/interp", home);
    else
        return error_set(err, ST_BAD_INPUT,
                         "no state directory: HOME is not set, give one with --state DIR");
    if (n < 0 || (size_t)n >= cap - LONGEST_NAME)
        return error_set(err, ST_BAD_INPUT, "the state directory's path is too long");
    return ST_OK;
}

static status_t make_absolute(const char *path, char out[CLUSTER_PATH_SIZE], struct error *err)
{
    char here[CLUSTER_PATH_SIZE] = "";
    const bool is_absolute = path[0] == '/';
    if (!is_absolute && !getcwd(here, sizeof here))
        return error_set(err, ST_IO, "current directory: %s", strerror(errno));
    const int n = is_absolute ? snprintf(out, CLUSTER_PATH_SIZE, "%s", path)
                              : snprintf(out, CLUSTER_PATH_SIZE, "%s/%s", here, path);
    if (n < 0 || (size_t)n >= CLUSTER_PATH_SIZE - LONGEST_NAME)
        return error_set(err, ST_BAD_INPUT, "the state directory's path is too long");
    for (size_t end = (size_t)n; end > 1 && out[end - 1] == '/'; end--) out[end - 1] = '\0';
    return ST_OK;
}

static status_t check_socket(const char *path, struct error *err)
{
    const size_t n = strlen(path);
    if (n <= CLUSTER_SOCKET_PATH_MAX) return ST_OK;
    return error_set(err, ST_BAD_INPUT,
                     "the socket %s has a path of %zu bytes, the system allows %d: choose a "
                     "state directory with a path shorter by %zu bytes (--state DIR or "
                     "INTERP_STATE)",
                     path, n, CLUSTER_SOCKET_PATH_MAX, n - CLUSTER_SOCKET_PATH_MAX);
}

const char *cluster_path(const struct cluster_paths *paths, const char *name,
                         char out[CLUSTER_PATH_SIZE])
{
    const size_t n = strlen(paths->state);
    memcpy(out, paths->state, n);
    (void)snprintf(out + n, CLUSTER_PATH_SIZE - n, "/%s", name);
    return out;
}

status_t cluster_paths_init(struct cluster_paths *out, const char *state, struct error *err)
{
    char chosen[CLUSTER_PATH_SIZE], socket[CLUSTER_PATH_SIZE];
    status_t status = choose(state, chosen, sizeof chosen, err);
    if (status == ST_OK) status = make_absolute(chosen, out->state, err);
    if (status != ST_OK) return status;
    status = check_socket(cluster_path(out, "coordinator.sock", socket), err);
    if (status != ST_OK) return status;
    memcpy(out->coordinator_socket, socket, strlen(socket) + 1);
    (void)snprintf(out->coordinator_endpoint, sizeof out->coordinator_endpoint, "ipc://%s",
                   out->coordinator_socket);
    (void)cluster_path(out, "redis.sock", socket); /* shorter than the one above */
    memcpy(out->redis_socket, socket, strlen(socket) + 1);
    (void)snprintf(out->redis_url, sizeof out->redis_url, "unix:%s", out->redis_socket);
    return ST_OK;
}

status_t cluster_paths_create(const struct cluster_paths *paths, struct error *err)
{
    static const char *const names[] = {"redis", "data", "journal", "logs", "run"};
    status_t status = file_make_directories(paths->state, err);
    if (status == ST_OK && chmod(paths->state, 0700) != 0)
        status = error_set(err, ST_IO, "chmod %s: %s", paths->state, strerror(errno));
    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == ST_OK; i++) {
        char path[CLUSTER_PATH_SIZE];
        status = file_make_directories(cluster_path(paths, names[i], path), err);
    }
    return status;
}
