/* One question at a time to the coordinator: REQUEST out, ANSWER in (common/WIRE.md).
 *
 * The connection is made in the background by libzmq; the socket's monitor tells a refused
 * connection from a slow one, so that a missing coordinator is known in a fraction of a second,
 * a key that is not allowed at once, and a coordinator that restarts under us is waited for. A
 * handle belongs to one thread. */
#ifndef COORDINATOR_CLI_CLIENT_H
#define COORDINATOR_CLI_CLIENT_H

#include "common/curve.h"
#include "common/error.h"
#include "common/wire.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

struct client_params {
    const char *endpoint;
    const struct curve_client *curve; /* NULL: no keys; copied */
    int64_t timeout_ms;               /* bounds every request */
    bool is_expected; /* somebody keeps a coordinator there: wait although it is refused now */
    const volatile sig_atomic_t *interrupt; /* set by a signal handler; NULL: none */
};

/* Does not wait for the connection. The caller owns *out. Errors: ST_BAD_INPUT (the address),
 * ST_NO_MEMORY. */
MUST_CHECK status_t client_open(struct client **out, const struct client_params *params,
                                struct error *err);
void client_close(struct client **client); /* NULL-safe; sets *client = NULL */

struct client_request {
    const char *operation;
    const json_t *arguments; /* an object; NULL: none. Borrowed */
    /* Asking twice does no harm (reading, or a submit with its key): when the connection
     * breaks before the answer, the same request is sent again once it is back. */
    bool is_repeatable;
};

/* Ask and wait. On ST_OK the caller owns *result, an object. Errors: ST_UNREACHABLE (nobody there,
 * no answer in time, or keys that do not fit), ST_CONFLICT (our key is not allowed), ST_CANCELLED
 * (a signal), ST_PROTOCOL, and whatever status and text the coordinator gave. */
MUST_CHECK status_t client_ask(struct client *client, const struct client_request *request,
                               json_t **result, struct error *err);

/* The same, but the answer as it came, which nobody has parsed: borrowed until the next request. */
MUST_CHECK status_t client_ask_text(struct client *client, const struct client_request *request,
                                    struct wire_text *answer, struct error *err);

const char *client_endpoint(const struct client *client);

#endif
