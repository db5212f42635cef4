/* CURVE on sockets: encrypted, both ends proven by their keys (key_file.h).
 *
 * Only endpoints that are not inside (endpoint.h) have it. libzmq takes the options at the next
 * bind or connect and keeps them per endpoint, so that one ROUTER can have plain ipc endpoints,
 * bound before, and CURVE endpoints, bound after. No state; any thread. */
#ifndef COMMON_CURVE_H
#define COMMON_CURVE_H

#include "common/error.h"
#include "common/key_file.h"

#include <stdbool.h>

/* The domain of the ZAP requests for such endpoints. */
#define CURVE_ZAP_DOMAIN "interp"

/* What connects: its own key, and the one that the coordinator must have. */
struct curve_client {
    struct key own;
    char server_text[KEY_TEXT_SIZE];
    const char *server_path; /* for messages; borrowed */
};

struct curve_files {
    const char *key, *server_key; /* NULL: as INTERP_KEY and INTERP_SERVER_KEY say, if set */
};

/* Load what a connection to `endpoint` needs; *is_curve is false for an inside endpoint and when
 * no file is named. Paths are borrowed. Errors: ST_BAD_INPUT (one file without the other), those
 * of key_load_*. */
MUST_CHECK status_t curve_client_load(struct curve_client *out, bool *is_curve,
                                      const struct curve_files *files, const char *endpoint,
                                      struct error *err);

/* Before the connect, or the bind, that shall have it. Errors: ST_UNSUPPORTED. */
MUST_CHECK status_t curve_connects_as(void *socket, const struct curve_client *client,
                                      struct error *err);
MUST_CHECK status_t curve_binds_as(void *socket, const struct key *own, struct error *err);

#endif
