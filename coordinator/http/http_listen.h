/* A listening TCP socket on a loopback address, and on nothing else: the page has no login, so
 * who can reach the socket can read everything. "127.0.0.1:PORT", any other 127.x.y.z, or
 * "[::1]:PORT"; port 0 takes a free one. Pure but for the socket; any thread. */
#ifndef COORDINATOR_HTTP_HTTP_LISTEN_H
#define COORDINATOR_HTTP_HTTP_LISTEN_H

#include "common/error.h"

#include <stdbool.h>

enum { HTTP_ADDRESS_SIZE = 64, HTTP_BACKLOG = 64 };

struct http_listen {
    int fd;                          /* close-on-exec; the caller closes it */
    char address[HTTP_ADDRESS_SIZE]; /* "http://127.0.0.1:8123", the port as bound */
};

/* Errors: ST_BAD_INPUT (grammar, not a loopback address), ST_CONFLICT (port taken), ST_IO.
 * *out is untouched on failure. */
MUST_CHECK status_t http_listen_open(struct http_listen *out, const char *listen_text,
                                     struct error *err);

/* Is this Host header ("localhost", "127.0.0.1:8123", "[::1]") a name of this machine's
 * loopback? Any port: an SSH tunnel gives it another one. A page of a foreign name that was
 * pointed at 127.0.0.1 (DNS rebinding) sends its own name and is refused. NULL is false. */
bool http_host_is_loopback(const char *host);

#endif
