/* Where the local cluster of `interpctl up` keeps its things: one state directory.
 *
 *   DIR/coordinator.sock  DIR/redis.sock      sockets (their paths have a limit of 107 bytes)
 *   DIR/redis.conf  DIR/redis/                the store: configuration, append-only files
 *   DIR/data/                                 the coordinator's: blobs, results, http-address
 *   DIR/journal/                              the gateways': calls and replies
 *   DIR/logs/NAME.log  DIR/run/NAME.pid       one pair per process
 *   DIR/run/lock  DIR/run/status.json     the supervisor's: held while it lives; what it sees */
#ifndef COORDINATOR_CLI_CLUSTER_PATHS_H
#define COORDINATOR_CLI_CLUSTER_PATHS_H

#include "common/error.h"

enum { CLUSTER_PATH_SIZE = 1024, CLUSTER_SOCKET_PATH_MAX = 107 };

struct cluster_paths {
    char state[CLUSTER_PATH_SIZE]; /* absolute */
    char coordinator_socket[CLUSTER_SOCKET_PATH_MAX + 1];
    char coordinator_endpoint[CLUSTER_SOCKET_PATH_MAX + 8]; /* "ipc://..." */
    char redis_socket[CLUSTER_SOCKET_PATH_MAX + 1];
    char redis_url[CLUSTER_SOCKET_PATH_MAX + 8]; /* "unix:..." */
};

/* `state` as given by the user, or NULL: INTERP_STATE, $XDG_STATE_HOME/interp, or
 * $HOME/.local/state/interp. Nothing is created. Errors: ST_BAD_INPUT (no home, a socket's path
 * would be too long: says by how much). */
MUST_CHECK status_t cluster_paths_init(struct cluster_paths *out, const char *state,
                                       struct error *err);

/* "STATE/name" into out[CLUSTER_PATH_SIZE]. Always fits for names of this program. */
const char *cluster_path(const struct cluster_paths *paths, const char *name,
                         char out[CLUSTER_PATH_SIZE]);

/* Make the directories, private to the user (mode 0700). Errors: ST_IO. */
MUST_CHECK status_t cluster_paths_create(const struct cluster_paths *paths, struct error *err);

#endif
